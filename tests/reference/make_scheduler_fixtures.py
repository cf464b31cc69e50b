#!/usr/bin/env python3
"""Fixtures of the schedulers, from diffusers.

  python make_scheduler_fixtures.py --out ../fixtures/scheduler

Written with diffusers 0.42 and torch 2.15 on the CPU:

  cases.json           configs: by name, the fields of a scheduler_config.json
                       cases: sampler, config, karras (switched on by the caller), steps; what the sampler then says
                       (timesteps, init_noise_sigma); the steps whose result is recorded
  samples.safetensors  initial and bias [1, 4, 4, 4]; noise [52, 1, 4, 4, 4], what the ancestral sampler draws at
                       each step; and, by the case's name, the recorded samples [n, 1, 4, 4, 4]

In place of a model stands output = input * (0.3 * cos(step)) + bias.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
)
from diffusers.schedulers import scheduling_euler_ancestral_discrete
from safetensors.torch import save_file

CLASSES = {
    "pndm": PNDMScheduler,
    "ddim": DDIMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler-a": EulerAncestralDiscreteScheduler,
    "dpmpp-2m": DPMSolverMultistepScheduler,
}
# Sampler and whether the caller asks for Karras noise levels.
SAMPLERS = [
    ("pndm", False), ("ddim", False), ("euler", False), ("euler-a", False), ("dpmpp-2m", False),
    ("euler", True), ("dpmpp-2m", True),
]  # fmt: skip

LATENT = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
CONFIGS = {
    # Stable Diffusion 1
    "sd1": {
        "_class_name": "PNDMScheduler", **LATENT, "clip_sample": False, "num_train_timesteps": 1000,
        "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
    },
    # Stable Diffusion 2
    "sd2": {
        "_class_name": "DDIMScheduler", **LATENT, "clip_sample": False, "num_train_timesteps": 1000,
        "prediction_type": "v_prediction", "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
        "trained_betas": None,
    },
    # DDIM as diffusers saves it, with every field of the class: no `skip_prk_steps`.
    "saved": {**DDIMScheduler(**LATENT, clip_sample=False, set_alpha_to_one=False, steps_offset=1).config},
    "linspace": {
        "_class_name": "EulerDiscreteScheduler", **LATENT, "timestep_spacing": "linspace", "skip_prk_steps": True,
        "clip_sample": False, "set_alpha_to_one": True,
    },
    "trailing": {
        "_class_name": "EulerDiscreteScheduler", **LATENT, "timestep_spacing": "trailing", "skip_prk_steps": True,
        "clip_sample": False,
    },
}  # fmt: skip
del CONFIGS["saved"]["_use_default_values"]

# One option each: name, samplers, fields on top of "trailing".
OPTIONS = [
    ("linear", ["ddim", "euler", "dpmpp-2m"], {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}),
    ("cosine", ["pndm", "ddim", "euler"], {"beta_schedule": "squaredcos_cap_v2"}),
    ("cosine-clipped", ["dpmpp-2m"], {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1}),
    ("cosine-clipped-linspace", ["dpmpp-2m"],
     {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1, "timestep_spacing": "linspace"}),
    ("cosine-karras", ["euler", "dpmpp-2m"],
     {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 40.0}),
    ("sample", ["ddim", "euler", "dpmpp-2m"], {"prediction_type": "sample"}),
    ("clip-sample", ["ddim"], {"clip_sample": True, "clip_sample_range": 0.8}),
    ("clip-sample-v", ["ddim"], {"clip_sample": True, "prediction_type": "v_prediction"}),
    ("zero-snr", ["ddim", "euler", "euler-a", "dpmpp-2m"],
     {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    ("final-sigma-min", ["euler", "dpmpp-2m"], {"final_sigmas_type": "sigma_min"}),
    ("final-sigma-min-second-order", ["dpmpp-2m"], {"final_sigmas_type": "sigma_min", "lower_order_final": False}),
    ("final-sigma-min-euler", ["dpmpp-2m"],
     {"final_sigmas_type": "sigma_min", "lower_order_final": False, "euler_at_final": True}),
    ("karras-range", ["euler", "dpmpp-2m"], {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0}),
    ("short-training", ["pndm", "ddim", "euler", "dpmpp-2m"], {"num_train_timesteps": 37, "timestep_spacing": "leading"}),
    ("steps-offset", ["ddim", "euler", "dpmpp-2m", "euler-a"], {"timestep_spacing": "linspace", "steps_offset": 7}),
]  # fmt: skip

generator = torch.Generator("cpu").manual_seed(2301)
INITIAL = torch.randn(1, 4, 4, 4, generator=generator)
BIAS = torch.randn(1, 4, 4, 4, generator=generator)
NOISE = torch.randn(52, 1, 4, 4, 4, generator=generator)


def run(kind, config, karras, steps):
    """The sampler after `set_timesteps`, and the sample after each of its steps."""
    drawn = iter(NOISE)
    scheduling_euler_ancestral_discrete.randn_tensor = lambda *args, **kwargs: next(drawn)
    arguments = {"use_karras_sigmas": True} if karras else {}
    scheduler = CLASSES[kind].from_config(config, **arguments)
    scheduler.set_timesteps(steps)
    sample = INITIAL * scheduler.init_noise_sigma
    samples = []
    for step, timestep in enumerate(scheduler.timesteps):
        model_input = scheduler.scale_model_input(sample, timestep)
        output = model_input * (0.3 * math.cos(step)) + BIAS
        sample = scheduler.step(output, timestep, sample).prev_sample
        assert sample.isfinite().all(), (kind, config, steps, step)
        samples.append(sample)
    return scheduler, samples


def cases():
    for name, config in CONFIGS.items():
        for prediction in ("epsilon", "v_prediction"):
            for kind, karras in SAMPLERS:
                if kind == "pndm" and "skip_prk_steps" not in config:
                    continue
                for steps in (1, 3, 10, 50):
                    yield f"{name}-{prediction}", {**config, "prediction_type": prediction}, kind, karras, steps
    for name, kinds, fields in OPTIONS:
        for kind in kinds:
            # More than 14 steps: the last one of DPM-Solver++ may be of second order.
            for steps in (10, 16) if name.startswith("final") else (10,):
                yield name, {**CONFIGS["trailing"], **fields}, kind, False, steps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "scheduler")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    configs, manifest = {}, []
    tensors = {"initial": INITIAL, "bias": BIAS, "noise": NOISE}
    for config_name, config, kind, karras, steps in cases():
        scheduler, samples = run(kind, config, karras, steps)
        name = f"{config_name}/{kind}{'-karras' if karras else ''}/{steps}"
        last = len(samples) - 1
        recorded = list(range(last + 1)) if steps == 10 else sorted({0, last // 2, last})
        configs[config_name] = config
        manifest.append({
            "name": name, "config": config_name, "kind": kind, "karras": karras, "steps": steps,
            "init_noise_sigma": float(scheduler.init_noise_sigma), "timesteps": scheduler.timesteps.tolist(),
            "recorded": recorded,
        })  # fmt: skip
        tensors[name] = torch.stack([samples[step] for step in recorded])
    save_file(tensors, out / "samples.safetensors")
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in manifest)
    (out / "cases.json").write_text(f'{{"configs":{json.dumps(configs, indent=1)},\n"cases":[\n{lines}\n]}}\n')
    print(f"{len(manifest)} cases in {out}")


if __name__ == "__main__":
    main()
