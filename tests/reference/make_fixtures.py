#!/usr/bin/env python3
"""Writes the committed fixtures: `cargo xtask fixtures --python PYTHON`.

  pip install torch diffusers transformers accelerate safetensors pillow peft lycoris-lora scipy
  python tests/reference/make_fixtures.py [GROUP ...]

The files are committed compressed; see packing.py. The groups are `models`, `runs`, `embedded`, `noise` and `vae_tiling`, plus
`clip`, `scheduler`, `samplers`, `formats`, `convenience`, `baselines`, `vision`, `blip`, `networks`, `adapters`, `config_keys` and
`prompts`, which have scripts of their own. Without a group all are written. CASE=name limits `runs` to one
case; a part of `convenience` needs LPW=lpw_stable_diffusion.py, see its script.
"""
import json
import os
import runpy
import sys

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

import make_reference as reference
import packing

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
SPRITES = os.path.join(HERE, "..", "..", "assets", "sprites")
PAPER = dict(steps=50, max_iter_to_alter=25, thresholds={0: 0.05, 10: 0.5, 20: 0.8})

# Case name -> model and arguments. Small runs alter half of 10 steps; the 50-step runs are the paper's settings.
RUNS = {
    "sd1-pndm-10": dict(model="sd1", keep_image=True),
    "sd1-ddim-10-landscape": dict(model="sd1", prompt="a lion with a crown", seed=7, scheduler="DDIMScheduler", height=192, width=320),
    "sd1-pndm-50": dict(model="sd1", prompt="a red car and a white bench", tokens=[3, 7], seed=3, **PAPER),
    "sd1-ddim-50": dict(model="sd1", prompt="a frog and a turtle", scheduler="DDIMScheduler", seed=11, **PAPER),
    "sd1-three-subjects": dict(model="sd1", prompt="a cat, a dog and a blue balloon", tokens=[2, 5, 9], seed=2**33 + 5,
                               negative_prompt="a photo of a mouse", guidance_scale=4.0),
    "sd1-odd-size": dict(model="sd1", prompt="a bear and an apple", seed=9, height=216, width=264, attn_res=[7, 9]),
    "sd2-ddim-10": dict(model="sd2", prompt="a horse and a yellow clock", tokens=[2, 6], seed=1, keep_image=True),
    "sd2-pndm-10-portrait": dict(model="sd2", prompt="a bird and a backpack", scheduler="PNDMScheduler", seed=5, height=320, width=192),
    "distilled-pndm-10": dict(model="distilled", prompt="a monkey with a red chair", tokens=[2, 6], seed=4),
    "sd1-euler-plain": dict(model="sd1", scheduler="EulerDiscreteScheduler", guided=False),
    "sd1-euler-a-plain": dict(model="sd1", scheduler="EulerAncestralDiscreteScheduler", guided=False),
    "sd2-dpmpp-2m-plain": dict(model="sd2", scheduler="DPMSolverMultistepScheduler", guided=False),
}
# The embedded model at its own defaults (assets/sprites/attend_and_excite.json), with the paper's thresholds, under which refinement has most to do.
EMBEDDED = {
    "sprites-lion-car": dict(prompt="a lion and a red car", tokens=[2, 6], seed=7),
    "sprites-cat-frog": dict(prompt="a cat and a frog", tokens=[2, 5], seed=0),
}


def models():
    for variant in ("sd1", "sd2", "distilled"):
        reference.build(os.path.join(FIXTURES, "models", variant), variant)


def runs():
    only = os.environ.get("CASE")
    for name, case in RUNS.items():
        if only and only != name:
            continue
        arguments = dict(case)
        model = os.path.join(FIXTURES, "models", arguments.pop("model"))
        reference.run(os.path.join(FIXTURES, "runs", name), model, **arguments)
        record_model(name, case["model"])


def embedded():
    with open(os.path.join(SPRITES, "attend_and_excite.json")) as f:
        defaults = json.load(f)
    settings = dict(  # latents of 32x32
        steps=defaults["num_inference_steps"], guidance_scale=defaults["guidance_scale"], attn_res=[32 // defaults["attention_reduction"]] * 2,
        attention_scale=defaults["attention_scale"], scale_factor=defaults["scale_factor"], max_iter_to_alter=25,
        thresholds={0: 0.05, 10: 0.5, 20: 0.8})
    for name, case in EMBEDDED.items():
        reference.run(os.path.join(FIXTURES, "runs", name), SPRITES, **settings, **case)
        record_model(name, "sprites")


def record_model(name, model):
    path = os.path.join(FIXTURES, "runs", name, "case.json")
    with open(path) as f:
        case = json.load(f)
    with open(path, "w") as f:
        json.dump({"model": model, **case}, f, indent=1)


def noise():
    """Consecutive calls of torch.randn on one generator, in both of torch's layouts."""
    cases = []
    for seed in (0, 42, 2**31, 2**32 + 1, 2**64 - 1):
        for counts in ([1, 2, 3], [15, 16, 17], [4 * 32 * 32, 5], [40, 333]):
            generator = torch.Generator("cpu").manual_seed(seed if seed < 2**63 else seed - 2**64)
            draws = [torch.randn(count, generator=generator) for count in counts]
            # The ends of each draw: the tail is where the layouts differ.
            values = [[d[:20].tolist(), d[-20:].tolist()] for d in draws]
            cases.append(dict(seed=str(seed), counts=counts, values=values))
    os.makedirs(os.path.join(FIXTURES, "noise"), exist_ok=True)
    with open(os.path.join(FIXTURES, "noise", "torch_cpu.json"), "w") as f:
        json.dump(cases, f)


def vae_tiling():
    """Latents of no whole number of tiles, the last one latent high, decoded in tiles."""
    vae = AutoencoderKL.from_pretrained(os.path.join(FIXTURES, "models", "sd1", "vae"))
    vae.enable_tiling()
    vae.tile_latent_min_size, vae.tile_sample_min_size = 8, 64
    latents = torch.randn(1, 4, 13, 9, generator=torch.Generator("cpu").manual_seed(0))
    with torch.no_grad():
        decoded = vae.decode(latents / vae.config.scaling_factor).sample
    save_file(dict(latents=latents, decoded=decoded), os.path.join(FIXTURES, "vae_tiling.safetensors"))


def script(name):
    return lambda: runpy.run_path(os.path.join(HERE, f"make_{name}_fixtures.py"), run_name="__main__")


GROUPS = dict(models=models, runs=runs, embedded=embedded, noise=noise, vae_tiling=vae_tiling, clip=script("clip"),
              scheduler=script("scheduler"), samplers=script("samplers"), formats=script("formats"), convenience=script("convenience"), baselines=script("baselines"),
              vision=script("vision"), blip=script("blip"), networks=script("networks"), adapters=script("adapters"), config_keys=script("config_keys"), prompts=script("prompts"), objectives=script("objectives"), methods=script("methods"))

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(GROUPS)
    unknown = [group for group in wanted if group not in GROUPS]
    if unknown:
        sys.exit(f"unknown group {', '.join(unknown)}: expected some of {', '.join(GROUPS)}")
    sys.argv = sys.argv[:1]
    packing.unpack()
    for group in wanted:
        GROUPS[group]()
    packing.pack()
