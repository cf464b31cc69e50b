#!/usr/bin/env python3
"""Fixtures that ae-checkpoint carries inside its crate: files of torch.save as they are met in the field, of some bytes each.

  python make_pytorch_fixtures.py

Written with torch 2.15. Each holds x = [1.5, -2] and y = [[0.25]], some under names that a program put around them.
"""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(os.path.abspath(__file__)).parent.parent.parent / "crates" / "ae-checkpoint" / "tests" / "fixtures"


def tensors(x=torch.float32, y=torch.float32, prefix=""):
    return {prefix + "x": torch.tensor([1.5, -2.0]).to(x), prefix + "y": torch.tensor([[0.25]]).to(y)}


def saved(weights, **options):
    file = io.BytesIO()
    torch.save(weights, file, **options)
    return file.getvalue()


def packed_anew(data, compression, folder, others=()):
    """The archive as another program packs its unpacked content."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in others:
            new.writestr(name, b"other")
        for name in old.namelist():
            new.writestr(folder + name.split("/", 1)[1], old.read(name))
    return file.getvalue()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    plain = saved(tensors())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as other:
        other.writestr("model/model.ckpt", plain)
    files = {
        "float8.pt": saved(tensors(torch.float8_e4m3fn, torch.float8_e5m2)),
        "float8-legacy.pt": saved(tensors(torch.float8_e4m3fn, torch.float8_e5m2), _use_new_zipfile_serialization=False),
        "legacy.pt": saved(tensors(), _use_new_zipfile_serialization=False),
        "data-parallel.pt": saved({"epoch": 3, "state_dict": tensors(prefix="module.")}),
        "deepspeed.pt": saved({"module": tensors(prefix="module."), "optimizer": None, "global_steps": 3}),
        "compiled.pt": saved(tensors(prefix="_orig_mod.")),
        "packed-anew.pt": packed_anew(plain, zipfile.ZIP_STORED, "some/where/", ["__MACOSX/some/where/._data.pkl", "notes.txt"]),
        "packed-without-folder.pt": packed_anew(plain, zipfile.ZIP_STORED, ""),
        "compressed.pt": packed_anew(plain, zipfile.ZIP_DEFLATED, "archive/"),
        "archive-of-a-checkpoint.pt": archive.getvalue(),
        "pickle-of-tensors.pt": pickle.dumps(tensors()),
        "pickle-of-arrays.pt": pickle.dumps({"x": np.array([1.5, -2.0])}),
        "pickle-of-numbers.pt": pickle.dumps({"x": [1.5, -2.0]}, protocol=2),
    }
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
