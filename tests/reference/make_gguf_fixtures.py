#!/usr/bin/env python3
"""Fixtures that ae-checkpoint carries inside its crate: a GGUF file with a tensor of every type, and the same numbers widened.

  python make_gguf_fixtures.py

Written with gguf 0.19, whose `quants.dequantize` widens. The blocks are random bytes with scales of a sensible size.
"""

import os
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from safetensors.numpy import save_file

FOLDER = Path(os.path.abspath(__file__)).parent.parent.parent / "crates" / "ae-checkpoint" / "tests" / "fixtures"
# The half-precision numbers of a block.
SCALES = {Kind.Q8_0: [0], Kind.Q4_0: [0], Kind.Q4_1: [0, 2], Kind.Q5_0: [0], Kind.Q5_1: [0, 2], Kind.Q2_K: [80, 82],
          Kind.Q3_K: [108], Kind.Q4_K: [0, 2], Kind.Q5_K: [0, 2], Kind.Q6_K: [208]}


def main():
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(FOLDER / "kinds.gguf", "sd1")
    writer.add_string("note", "of many kinds")
    writer.add_uint32("count", 3)
    writer.add_array("list", ["a", "b"])
    writer.add_float32("share", 0.5)
    writer.add_array("comfy.gguf.orig_shape.reshaped", [2, 2, 3])
    expected = {}

    def add(name, values, **options):
        writer.add_tensor(name, values, **options)

    for name, dtype in [("F32", np.float32), ("F16", np.float16), ("F64", np.float64)]:
        values = random.standard_normal((2, 3)).astype(dtype)
        add(name, values)
        expected[name] = values.astype(np.float32)
    values = random.standard_normal((2, 8)).astype(np.float32)
    packed = gguf.quants.quantize(values, Kind.BF16)
    add("BF16", packed, raw_dtype=Kind.BF16)
    expected["BF16"] = gguf.quants.dequantize(packed, Kind.BF16)
    values = random.standard_normal((4, 3)).astype(np.float32)
    add("reshaped", values)
    expected["reshaped"] = values.reshape(2, 2, 3)
    for kind, scales in SCALES.items():
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        rows = random.integers(0, 256, (2, 512 // numbers, size), dtype=np.uint8)
        for at in scales:
            half = (random.standard_normal(rows.shape[:2]) * 0.01).astype(np.float16)
            rows[:, :, at:at + 2] = half[..., None].view(np.uint8)
        rows = rows.reshape(2, -1)
        add(kind.name, rows, raw_dtype=kind)
        expected[kind.name] = gguf.quants.dequantize(rows, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({name: np.ascontiguousarray(values) for name, values in expected.items()}, FOLDER / "kinds.safetensors")


if __name__ == "__main__":
    main()
