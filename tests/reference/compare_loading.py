#!/usr/bin/env python3
"""How long a model takes from the start of the program until it is ready to draw, here and in diffusers, by turns.

  python compare_loading.py target/release/ae MODEL [--repeat 3]

MODEL is a folder in diffusers' layout with float32 safetensors. Ready is: interpreter and libraries started, all weights
loaded, the prompt tokenized. Prints seconds, and the largest resident memory up to then.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

PROMPT = "a cat and a dog"
DIFFUSERS = f"""
import sys
import torch
from diffusers import StableDiffusionPipeline
torch.set_num_threads(2)
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], torch_dtype=torch.float32, safety_checker=None, local_files_only=True)
pipe.tokenizer({PROMPT!r}, padding="max_length", max_length=77, truncation=True)
print("ready", flush=True)
sys.stdin.read()
"""


def ours(ae, model):
    command = [ae, "generate", "--model", model, "--prompt", PROMPT, "--subjects", "cat,dog", "--output", tempfile.mkdtemp()]
    return command, lambda line: line.startswith("subjects:")


def diffusers(model):
    return [sys.executable, "-c", DIFFUSERS, model], lambda line: line.startswith("ready")


def measure(command, is_ready):
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            if is_ready(line):
                seconds = time.perf_counter() - start
                with open(f"/proc/{process.pid}/status") as status:
                    fields = dict(row.split(":", 1) for row in status)
                process.kill()
                return seconds, int(fields["VmHWM"].split()[0]) / 1e6
    sys.exit(f"{command[0]} ended before it was ready")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ae")
    parser.add_argument("model")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    programs = {"ae": ours(os.path.abspath(arguments.ae), arguments.model), "diffusers": diffusers(arguments.model)}
    results = {name: [] for name in programs}
    for _ in range(arguments.repeat):
        for name, (command, is_ready) in programs.items():
            seconds, gigabytes = measure(command, is_ready)
            results[name].append(seconds)
            print(f"{name}: {seconds:.2f} s, {gigabytes:.2f} GB", flush=True)
    medians = {name: statistics.median(seconds) for name, seconds in results.items()}
    print(f"ae / diffusers: {medians['ae'] / medians['diffusers']:.2f}")


if __name__ == "__main__":
    main()
