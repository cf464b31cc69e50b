"""Draws a grid of prompts with what is trained so far, to look at between two runs of train_unet.py.

    python sample.py

Writes samples/sample.png below the work folder.
"""

import argparse
import os

import torch
from diffusers.models.attention_processor import AttnProcessor

from export import open_training
from files import Work, save_image
from parallel import autocast, limit_threads
from pictures import labelled_grid

PROMPTS = [
    "a cat",
    "a dog",
    "a red balloon",
    "a turtle",
    "a blue car",
    "an elephant",
    "a green backpack",
    "a horse",
    "a cat and a dog",
    "a cat and a frog",
    "a lion and an elephant",
    "a bird and a frog",
    "a cat with a red bow",
    "a frog and a yellow crown",
    "a green backpack and a purple chair",
    "a dog and a lion",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--prompts", nargs="+", default=PROMPTS, help="what to draw (default: 16 prompts)")
    parser.add_argument("--steps", type=int, default=25, help="denoising steps (default 25)")
    parser.add_argument("--guidance", type=float, default=5.0, help="guidance scale (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    options = parser.parse_args()
    limit_threads()
    work = Work(options.work)
    pipeline = open_training(work)
    pipeline.unet.set_attn_processor(AttnProcessor())
    generator = torch.Generator().manual_seed(options.seed)
    settings = dict(num_inference_steps=options.steps, guidance_scale=options.guidance, generator=generator)
    with autocast():
        images = pipeline(options.prompts, **settings).images
    path = os.path.join(work.samples, "sample.png")
    save_image(labelled_grid(images, options.prompts), path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
