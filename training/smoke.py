"""Goes through every stage with tiny numbers, in a temporary folder: does the recipe still run from end to end?

    python smoke.py

Installs the npm packages with `npm ci` if they are missing, which needs the network. Ends with a model folder that
diffusers loads and draws from; stops at the first stage that fails. What it trains is noise.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

# Before torch is imported: one thread per process, and nothing is looked up on a hub.
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

HERE = os.path.dirname(os.path.abspath(__file__))

PROMPT = "a cat and a frog"


def stages(work, processes):
    """The commands of the recipe, with tiny numbers; the longest ones in several processes, and again in one."""
    several = ["torchrun", "--nproc_per_node", str(processes)]
    below = ["--work", work]
    return [
        ["node", "sprites.js", os.path.join(work, "sprites")],
        ["render.py", *below, "--count", "48"],
        ["tokenizer.py", *below],
        ["text_encoder.py", *below, "--steps", "3"],
        [*several, "train_vae.py", *below, "--steps", "3", "--batch", "4"],
        ["train_vae.py", *below, "--steps", "2", "--batch", "4", "--whole", "1", "--new-schedule"],
        [*several, "encode.py", *below, "--count", "40"],
        [*several, "train_unet.py", *below, "--steps", "3", "--batch", "4"],
        ["train_unet.py", *below, "--steps", "2", "--batch", "4", "--new-schedule"],
        [*several, "polish_decoder.py", *below, "--steps", "2", "--batch", "4"],
        ["sample.py", *below, "--steps", "2", "--prompts", PROMPT, "a red car"],
        ["train_detector.py", *below, "--steps", "2", "--rendered", "40", "--decoded", "40", "--kept-back", "20"],
        ["export.py", *below],
        ["evaluate.py", *below, "--steps", "4", "--seeds", "1", "--prompts", PROMPT],
        ["report.py", *below],
        ["singles.py", *below, "--steps", "2", "--seeds", "1"],
    ]


def run(command):
    """Runs a stage. A script in one process runs in this one: half of its time would go to importing torch again."""
    if command[0].endswith(".py"):
        sys.argv = command
        importlib.import_module(command[0].removesuffix(".py")).main()
    else:
        if command[0] == "torchrun":
            command = [sys.executable, "-m", "torch.distributed.run", *command[1:]]
        subprocess.run(command, cwd=HERE, check=True)


def check(work):
    """Both trainings have gone on from their checkpoints, nothing is half written, and diffusers draws a picture."""
    for name in ("vae", "unet"):
        step = torch.load(os.path.join(work, "checkpoints", f"{name}.pt"))["step"]
        assert step == 5, f"{name}.pt has {step} steps instead of 3 and 2 more"
    left = [name for _, folders, files in os.walk(work) for name in folders + files if name.endswith((".tmp", ".old"))]
    assert not left, f"left behind: {left}"
    pipeline = StableDiffusionPipeline.from_pretrained(
        os.path.join(work, "export"), safety_checker=None, dtype=torch.float32
    )
    image = pipeline("a cat and a red car", num_inference_steps=2, generator=torch.Generator().manual_seed(0)).images[0]
    assert image.size == (128, 128) and np.asarray(image).std() > 0, "not a picture"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2, help="processes of the parallel stages (default 2)")
    parser.add_argument("--keep", metavar="FOLDER", help="work in this folder, which must not exist, and keep it")
    options = parser.parse_args()
    if options.keep:
        os.makedirs(options.keep)
    work = os.path.abspath(options.keep) if options.keep else tempfile.mkdtemp(prefix="sprites-smoke-")
    commands = stages(work, options.processes)
    if not os.path.exists(os.path.join(HERE, "node_modules")):
        commands.insert(0, ["npm", "ci", "--no-audit", "--no-fund"])
    start = time.time()
    try:
        for i, command in enumerate(commands, 1):
            print(f"\n[{i}/{len(commands)}, {time.time() - start:.0f} s] {' '.join(command)}", flush=True)
            run(command)
        check(work)
        print(f"\nall {len(commands)} stages run and diffusers draws from the export, in {time.time() - start:.0f} s")
    finally:
        if not options.keep:
            shutil.rmtree(work)


if __name__ == "__main__":
    main()
