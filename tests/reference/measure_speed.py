#!/usr/bin/env python3
"""Times diffusers on a model folder, for `cargo xtask bench`; prints one line of JSON.

  python measure_speed.py MODEL --method attend-and-excite --steps 3 --max-iter-to-alter 2 --threads 2

`steps` holds the seconds of every denoising step, from the first call of the U-Net on and from one call of the scheduler to
the next; `seconds` those of the whole call of the pipeline, from the prompt to the picture; `peak` the largest resident
memory of the process in bytes, the loading included.
"""
import argparse
import json
import resource
import time

import torch
from diffusers import StableDiffusionAttendAndExcitePipeline, StableDiffusionPipeline
from diffusers.utils import logging

PIPELINES = {"attend-and-excite": StableDiffusionAttendAndExcitePipeline, "stable-diffusion": StableDiffusionPipeline}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--method", choices=PIPELINES, required=True)
    parser.add_argument("--prompt", default="a cat and a dog")
    parser.add_argument("--token-indices", default="2,5")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--max-iter-to-alter", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=7.5)
    parser.add_argument("--scale-factor", type=float, default=20)
    parser.add_argument("--size", type=int, help="side of the picture; by default the model's own")
    parser.add_argument("--attention-reduction", type=int, default=4)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()
    pipe = PIPELINES[arguments.method].from_pretrained(arguments.model, torch_dtype=torch.float32, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    size = arguments.size or pipe.unet.config.sample_size * pipe.vae_scale_factor
    options = dict(prompt=arguments.prompt, height=size, width=size, num_inference_steps=arguments.steps,
                   guidance_scale=arguments.guidance_scale, generator=torch.Generator("cpu").manual_seed(arguments.seed))
    if arguments.method == "attend-and-excite":
        side = size // pipe.vae_scale_factor // arguments.attention_reduction
        options.update(token_indices=[int(index) for index in arguments.token_indices.split(",")], thresholds={},
                       max_iter_to_alter=arguments.max_iter_to_alter, scale_factor=arguments.scale_factor, attn_res=(side, side))

    marks = []
    forward, step = pipe.unet.forward, pipe.scheduler.step

    def first_forward(*args, **keywords):
        if not marks:
            marks.append(time.perf_counter())
        return forward(*args, **keywords)

    def marked_step(*args, **keywords):
        result = step(*args, **keywords)
        marks.append(time.perf_counter())
        return result

    pipe.unet.forward, pipe.scheduler.step = first_forward, marked_step
    start = time.perf_counter()
    pipe(**options)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(steps=[after - before for before, after in zip(marks, marks[1:])], seconds=seconds, peak=peak)))


if __name__ == "__main__":
    main()
