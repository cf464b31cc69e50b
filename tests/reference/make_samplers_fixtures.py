#!/usr/bin/env python3
"""Whole runs of the samplers, from diffusers: those that draw noise, those that evaluate the model twice in a step, every spread of
noise levels, and image-to-image. (`make_scheduler_fixtures.py` has the older samplers step by step.)

  python make_samplers_fixtures.py --out ../fixtures/samplers

Written with diffusers 0.42.1, torch 2.15 and scipy 1.17 on the CPU:

  cases.json           cases: sampler, the fields of a scheduler_config.json, eta, steps, how many of them are left out (first);
                       what the sampler then says (timesteps, one for every evaluation; init_noise_sigma); how much noise it drew
  latents.safetensors  initial, bias and image [1, 4, 4, 4]; noise [60, 1, 4, 4, 4], in the order in which it is drawn; and, by the
                       case's name, the sample after the last step [1, 4, 4, 4]

In place of a model stands output = input * (0.3 * cos(evaluation)) + bias. With `--quote` prints what the unit test of ae-scheduler
quotes.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

CLASSES = {
    "ddim": "DDIMScheduler", "ddpm": "DDPMScheduler", "euler": "EulerDiscreteScheduler", "heun": "HeunDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler", "lms": "LMSDiscreteScheduler", "dpm2": "KDPM2DiscreteScheduler",
    "dpm2-a": "KDPM2AncestralDiscreteScheduler", "dpmpp-2m": "DPMSolverMultistepScheduler",
    "dpmpp-2m-sde": "DPMSolverMultistepScheduler", "unipc": "UniPCMultistepScheduler", "lcm": "LCMScheduler", "tcd": "TCDScheduler",
}  # fmt: skip
NEW = [kind for kind in CLASSES if kind not in ("euler", "euler-a", "dpmpp-2m")]
WITH_SIGMAS = ["euler", "heun", "lms", "dpm2", "dpm2-a", "dpmpp-2m", "dpmpp-2m-sde", "unipc"]
WITH_ETA = ["ddim", "tcd"]
# These classes have no prediction of the clean sample.
WITHOUT_SAMPLE = ["dpm2", "dpm2-a"]

MODEL = {
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False, "set_alpha_to_one": False,
    "steps_offset": 1,
}  # fmt: skip

generator = torch.Generator("cpu").manual_seed(2302)
INITIAL, BIAS, IMAGE = (torch.randn(1, 4, 4, 4, generator=generator) for _ in range(3))
NOISE = torch.randn(60, 1, 4, 4, 4, generator=generator)


def run(kind, fields, steps, eta=0.0, first=0, tensors=(INITIAL, BIAS, IMAGE, NOISE)):
    """The timesteps of every evaluation, the initial deviation, the last sample, and how often noise was drawn."""
    initial, bias, image, noise = tensors
    drawn = []

    def draw(*args, **kwargs):
        drawn.append(noise[len(drawn)])
        return drawn[-1]

    cls = getattr(diffusers, CLASSES[kind])
    sys.modules[cls.__module__].randn_tensor = draw
    fields = {**fields, "algorithm_type": "sde-dpmsolver++"} if kind == "dpmpp-2m-sde" else fields
    scheduler = cls.from_config(fields)
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps[first * scheduler.order :]
    if first:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(first * scheduler.order)
        sample = scheduler.add_noise(image, initial, timesteps[:1])
    else:
        sample = initial * scheduler.init_noise_sigma
    arguments = {"eta": eta} if kind in WITH_ETA else {}
    for evaluation, timestep in enumerate(timesteps):
        output = scheduler.scale_model_input(sample, timestep) * (0.3 * math.cos(evaluation)) + bias
        sample = scheduler.step(output, timestep, sample, **arguments).prev_sample
    assert sample.isfinite().all(), (kind, fields, steps)
    return timesteps.tolist(), float(scheduler.init_noise_sigma), sample, len(drawn)


def cases():
    """Name, sampler, fields, steps, eta, steps left out."""
    for kind in NEW:
        for spacing in ("leading", "trailing", "linspace"):
            for prediction in ("epsilon", "v_prediction", "sample"):
                if prediction == "sample" and kind in WITHOUT_SAMPLE:
                    continue
                fields = {**MODEL, "timestep_spacing": spacing, "prediction_type": prediction}
                for steps in (1, 4, 25):
                    # The last timestep of the training has no noise left in its class.
                    yield f"{spacing}-{prediction}", kind, fields, steps, 0.0, 0
        yield "from-3", kind, {**MODEL, "timestep_spacing": "leading"}, 10, 0.0, 3
    for kind in WITH_ETA:
        for eta in (0.3, 1.0):
            for steps in (4, 25):
                yield f"eta-{eta}", kind, {**MODEL, "timestep_spacing": "leading"}, steps, eta, 0
            yield f"eta-{eta}-from-3", kind, MODEL, 10, eta, 3
    for kind in WITH_SIGMAS:
        for spread in ("karras", "exponential", "beta"):
            for spacing in ("leading", "trailing"):
                fields = {**MODEL, "timestep_spacing": spacing, f"use_{spread}_sigmas": True}
                yield f"{spread}-{spacing}", kind, fields, 12, 0.0, 0
            yield f"{spread}-from-3", kind, {**MODEL, f"use_{spread}_sigmas": True}, 10, 0.0, 3
    for kind in ("ddim", "ddpm", "lcm", "tcd", "unipc", "dpmpp-2m-sde", "heun", "lms"):
        fields = {**MODEL, "timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
        yield "zero-snr", kind, fields, 10, 0.0, 0
    for kind in NEW:
        yield "class-defaults", kind, {"clip_sample": kind == "ddpm"}, 8, 0.0, 0
    yield "fixed-large", "ddpm", {**MODEL, "variance_type": "fixed_large"}, 10, 0.0, 0
    yield "fixed-small-log", "ddpm", {**MODEL, "variance_type": "fixed_small_log"}, 10, 0.0, 0
    yield "clip-sample", "lcm", {**MODEL, "clip_sample": True, "clip_sample_range": 0.8}, 4, 0.0, 0
    yield "original-40", "lcm", {**MODEL, "original_inference_steps": 40, "timestep_scaling": 5.0}, 6, 0.0, 0
    yield "original-100", "tcd", {**MODEL, "original_inference_steps": 100}, 60, 0.0, 0
    for steps in (4, 20):
        fields = {**MODEL, "solver_type": "bh1", "final_sigmas_type": "sigma_min"}
        yield "bh1", "unipc", fields, steps, 0.0, 0
        yield "second-order-final", "unipc", {**fields, "solver_type": "bh2", "lower_order_final": False}, steps, 0.0, 0
        fields = {**MODEL, "final_sigmas_type": "sigma_min", "lower_order_final": False}
        yield "second-order-final", "dpmpp-2m-sde", fields, steps, 0.0, 0


def quote():
    """Four numbers of every sampler, for the unit test of ae-scheduler."""

    def tensor(values):
        return torch.tensor(values).reshape(1, 1, 1, 4)

    noise = [tensor([math.cos(j), math.sin(j), -math.cos(2 * j), math.sin(3 * j)]) for j in range(60)]
    tensors = (tensor([0.3, -1.2, 0.8, 2.0]), tensor([-0.4, 0.7, 1.1, -0.9]), tensor([1.0, 0.5, -0.5, 0.1]), noise)
    for kind in CLASSES:
        for eta in (0.0, 0.3) if kind in WITH_ETA else (0.0,):
            for first in (0,) if kind == "lms" else (0, 3):
                _, _, sample, drawn = run(kind, {**MODEL, "timestep_spacing": "leading"}, 10, eta, first, tensors)
                print(f'("{kind}", {eta}, {first}, {drawn}, {[round(value, 6) for value in sample.flatten().tolist()]}),')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "samplers")
    parser.add_argument("--quote", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.quote:
        return quote()
    arguments.out.mkdir(parents=True, exist_ok=True)
    manifest, tensors = [], {"initial": INITIAL, "bias": BIAS, "image": IMAGE, "noise": NOISE}
    for name, kind, fields, steps, eta, first in cases():
        # Image-to-image with LMS differs on purpose.
        if kind == "lms" and first:
            continue
        timesteps, init_noise_sigma, sample, drawn = run(kind, fields, steps, eta, first)
        name = f"{name}/{kind}/{steps}"
        assert name not in tensors, name
        tensors[name] = sample
        manifest.append({
            "name": name, "kind": kind, "config": fields, "eta": eta, "steps": steps, "first": first, "drawn": drawn,
            "init_noise_sigma": init_noise_sigma, "timesteps": timesteps,
        })  # fmt: skip
    save_file(tensors, arguments.out / "latents.safetensors")
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in manifest)
    (arguments.out / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(f"{len(manifest)} cases in {arguments.out}")


if __name__ == "__main__":
    main()
