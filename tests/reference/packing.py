#!/usr/bin/env python3
"""The fixtures as they are committed: large files compressed, and without the weights of sd2, which are those of sd1.

  python tests/reference/packing.py unpack    # whole files, as the scripts read and write them
  python tests/reference/packing.py pack

make_fixtures.py does both by itself. The tests unpack into target/fixtures (tests/src/fixtures.rs).

The small sd1 and sd2 are drawn from one sequence of random numbers in one order, so that their weights are equal, but for the shape
of proj_in and proj_out: convolutions of one pixel there, linear layers here.
"""
import gzip
import json
import os
import struct
import sys

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")
SMALLEST, LARGEST_SHARE = 16_000, 0.92
SD1, SD2 = (os.path.join(FIXTURES, "models", name) for name in ("sd1", "sd2"))
WEIGHTS = ("text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def files():
    for folder, _, names in os.walk(FIXTURES):
        yield from (os.path.join(folder, name) for name in names)


def as_sd2(content):
    """A safetensors file of sd1 as sd2 has it."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    for name, entry in header.items():
        if name.endswith(("proj_in.weight", "proj_out.weight")) and entry["shape"][2:] == [1, 1]:
            entry["shape"] = entry["shape"][:2]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def tensors(content):
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items() if name != "__metadata__"}


def unpack():
    for path in list(files()):
        if path.endswith(".gz"):
            write(path.removesuffix(".gz"), gzip.decompress(read(path)))
    for name in WEIGHTS:
        if not os.path.exists(f"{SD2}/{name}"):
            write(f"{SD2}/{name}", as_sd2(read(f"{SD1}/{name}")))


def pack():
    for name in WEIGHTS:
        path = f"{SD2}/{name}"
        if os.path.exists(path):
            assert tensors(read(path)) == tensors(as_sd2(read(f"{SD1}/{name}"))), f"{name} of sd2 is not that of sd1"
            os.remove(path)
    for path in list(files()):
        if path.endswith((".gz", ".png")) or os.path.getsize(path) < SMALLEST:
            continue
        content, packed = read(path), path + ".gz"
        # Other versions of zlib compress to other bytes: what did not change stays as it is.
        if not os.path.exists(packed) or gzip.decompress(read(packed)) != content:
            compressed = gzip.compress(content, 9, mtime=0)
            if len(compressed) >= LARGEST_SHARE * len(content):
                if os.path.exists(packed):
                    os.remove(packed)
                continue
            write(packed, compressed)
        os.remove(path)


if __name__ == "__main__":
    if sys.argv[1:] not in (["pack"], ["unpack"]):
        sys.exit("expected pack or unpack")
    dict(pack=pack, unpack=unpack)[sys.argv[1]]()
