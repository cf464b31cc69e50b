"""Checks that a model folder is what this recipe makes, as far as that can be checked without training it again.

    node sprites.js work/sprites
    python verify.py

Takes a minute or two, most of it for training the text encoder anew. The detector is the shipped one,
../assets/detector/detector.safetensors, or the file that --detector names. README.md says what cannot be checked.
"""

import argparse
import filecmp
import hashlib
import os
import re
import sys
import tempfile

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

import text_encoder
import tokenizer
import unet
import vae
import vocabulary
from detector import FoldedDetector
from encode import encode
from evaluate import detect
from files import Work, load_json
from parallel import limit_threads
from pictures import psnr, to_tensor
from render import render
from sprites import Sprites

HERE = os.path.dirname(os.path.abspath(__file__))
ASSETS = os.path.join(HERE, "..", "assets", "sprites")
DETECTOR = os.path.join(HERE, "..", "assets", "detector", "detector.safetensors")
WEIGHTS = {
    "text_encoder": "text_encoder/model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "unet": "unet/diffusion_pytorch_model.safetensors",
}
# Parameters and bytes of the shipped weights.
SIZES = {"text_encoder": (689408, 1384112), "vae": (648375, 1310990), "unet": (5214148, 10455784)}
# Of the first 48 pictures of seed 0 with the defaults of render.py, as uint8; with the pinned versions.
PICTURES = "7074c34ed8d52c6d84b76290018b32c5506ffe2aad993bca85b2ac2c152d4c93"
# What the shipped U-Net has on these pictures, by quarter of the timesteps; how far off new pictures may be.
ERRORS, ERRORS_WITHIN = (0.048, 0.011, 0.007, 0.004), 0.3
# A pair that the shipped model draws whole without guidance.
PROMPT, SEED = "a turtle and a mouse", 0


class Skip(Exception):
    """What a check needs is not there."""


def load_weights(model, part):
    return load_file(os.path.join(model, WEIGHTS[part]))


def networks(options):
    """The configs describe the networks of this recipe, and the files hold exactly their tensors, in float16."""
    built = {
        "text_encoder": text_encoder.build(CLIPTokenizer.from_pretrained(os.path.join(options.model, "tokenizer"))),
        "vae": AutoencoderKL(**vae.CONFIG | {"scaling_factor": vae.SCALING_FACTOR}),
        "unet": UNet2DConditionModel(**unet.CONFIG),
    }
    told = []
    for part, network in built.items():
        config = load_json(os.path.join(options.model, part, "config.json"))
        for key, value in network.config.to_diff_dict().items() if part == "text_encoder" else network.config.items():
            if key.startswith("_") or key in ("architectures", "dtype", "transformers_version"):
                continue
            value = list(value) if isinstance(value, tuple) else value
            assert config.get(key) == value, f"{part}/config.json: {key} is {config.get(key)} instead of {value}"
        weights = load_weights(options.model, part)
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        assert shapes == {name: tuple(weight.shape) for name, weight in network.state_dict().items()}, f"{part}: shapes"
        assert all(weight.dtype == torch.float16 for weight in weights.values()), f"{part}: not float16"
        path = os.path.join(options.model, WEIGHTS[part])
        size = sum(weight.numel() for weight in weights.values()), os.path.getsize(path)
        assert size == SIZES[part], f"{part}: {size} parameters and bytes instead of {SIZES[part]}"
        told.append(f"{part} {size[0]}")
    config = load_json(os.path.join(options.model, "scheduler", "scheduler_config.json"))
    wrong = {key: config.get(key) for key, value in unet.SCHEDULER.items() if config.get(key) != value}
    assert not wrong, f"scheduler_config.json has {wrong}"
    return "parameters: " + ", ".join(told)


def tokenizer_files(options):
    """Built anew, the tokenizer's files are the same byte for byte."""
    shipped = os.path.join(options.model, "tokenizer")
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.write(folder)
        own = ["vocab.json", "merges.txt", "special_tokens_map.json"]
        saved = tokenizer.check(folder)
        saved.save_pretrained(os.path.join(folder, "saved"))
        pairs = [(name, os.path.join(folder, name)) for name in own]
        pairs.append(("tokenizer.json", os.path.join(folder, "saved", "tokenizer.json")))
        for name, path in pairs:
            assert filecmp.cmp(path, os.path.join(shipped, name), shallow=False), f"{name} differs"
    return "equal: " + ", ".join(name for name, _ in pairs)


def text_encoder_weights(options):
    """Trained anew, the text encoder has the same weights; on other hardware, or with other versions, nearly so."""
    names = CLIPTokenizer.from_pretrained(os.path.join(options.model, "tokenizer"))
    shipped = CLIPTextModel.from_pretrained(os.path.join(options.model, "text_encoder"), dtype=torch.float32).eval()
    error = text_encoder.held_back_error(shipped, names)
    assert error < 0.005, f"the states are off the code by {error:.4f}"
    torch.set_num_threads(1)
    trained = text_encoder.train(names, steps=401).half().state_dict()
    weights = load_weights(options.model, "text_encoder")
    equal = sum(torch.equal(weights[name], trained[name]) for name in weights)
    if equal == len(weights):
        return f"trained anew, all {equal} tensors are equal bit for bit; error of the states {error:.4f}"
    apart = max((weights[name].float() - trained[name].float()).abs().max().item() for name in weights)
    assert apart < 0.02, f"trained anew, weights are up to {apart:.4f} apart"
    return f"trained anew, {equal} of {len(weights)} tensors are equal, the others at most {apart:.5f} apart"


def sources(options):
    """The sprites are of the packages, versions, icons and licences that the model's NOTICE lists."""
    path = os.path.join(options.model, "NOTICE")
    if not os.path.exists(path):
        raise Skip("the model folder has no NOTICE")
    Sprites(options.sprites)
    with open(path) as file:
        rows = [re.split(r"\s{2,}", line.strip()) for line in file]
    listed = [row for row in rows if len(row) == 6 and row[1].isdigit()]
    with open(os.path.join(options.model, "vocabulary.json")) as file:
        assert file.read() == vocabulary.as_json(), "vocabulary.json has other words than the captions"
    made = load_json(os.path.join(options.sprites, "sprites.json"))
    keys = ("subject", "variant", "package", "version", "icon", "license")
    assert listed == [[str(sprite[key]) or "-" for key in keys] for sprite in made], "sprites.json differs from NOTICE"
    return f"{len(made)} sprites as in NOTICE"


def pictures(options):
    """The renderer makes the known pictures of a seed, twice, and others of another seed."""
    hashes = []
    for seed in (0, 0, 1):
        images, *_ = render(Sprites(options.sprites), 48, seed, single=0.45, dropped=0.35)
        hashes.append(hashlib.sha256(images.tobytes()).hexdigest())
    assert hashes[0] == hashes[1] != hashes[2], "a seed does not fix the pictures"
    told = f"other pictures ({hashes[0]}): are pillow, numpy and the npm packages of the pinned versions?"
    assert hashes[0] == PICTURES, told
    return f"48 pictures of seed 0 have SHA-256 {PICTURES[:12]}..."


@torch.no_grad()
def vae_quality(options):
    """The VAE standardises latents and decodes new renderings as well as was measured."""
    network = vae.open_vae(os.path.join(options.model, "vae")).eval()
    images, *_ = render(Sprites(options.sprites), 256, 31337, single=0.45, dropped=0.35)
    images = to_tensor(images)
    latents = vae.latent_means(network, images)
    quality = psnr(network.decode(latents[:64]).sample, images[:64])
    scaled = latents * network.config.scaling_factor
    mean, std = scaled.mean((0, 2, 3)), scaled.std((0, 2, 3))
    assert quality > 31, f"PSNR is only {quality:.1f} dB"
    assert mean.abs().max() < 0.15 and (std - 1).abs().max() < 0.15, f"latents have mean {mean} and deviation {std}"
    return f"PSNR {quality:.1f} dB; deviation of the latents' channels {std.min():.3f} to {std.max():.3f}"


@torch.no_grad()
def unet_errors(options):
    """The U-Net predicts the noise in new renderings as well as was measured in training."""
    pipeline = StableDiffusionPipeline.from_pretrained(options.model, safety_checker=None, dtype=torch.float32)
    images, _, entries = render(Sprites(options.sprites), 256, 31337, single=0.38, dropped=0.2)
    latents = torch.cat([encode(pipeline.vae, images[i : i + 32]) for i in range(0, len(images), 32)]).float()
    captions = [entry["caption"] for entry in entries]
    states = text_encoder.states(pipeline.tokenizer, pipeline.text_encoder, captions).float()
    torch.manual_seed(0)
    timesteps = (torch.arange(len(images)) * 1000 // len(images))[torch.randperm(len(images))]
    parts = [slice(i, i + 32) for i in range(0, len(images), 32)]
    noise = torch.randn_like(latents)
    errors = torch.cat([unet.noise_error(pipeline.unet, latents[p], states[p], timesteps[p], noise[p]) for p in parts])
    quarters = [errors[timesteps // 250 == quarter].mean().item() for quarter in range(4)]
    told = " / ".join(f"{error:.3f}" for error in quarters)
    for error, known in zip(quarters, ERRORS):
        assert abs(error - known) <= ERRORS_WITHIN * known, f"errors of the noise {told} instead of {ERRORS}"
    return f"error of the noise by quarter of the timesteps {told}"


def recognised(options):
    """The detector finds both subjects, and no other, in a picture that the model draws."""
    pipeline = StableDiffusionPipeline.from_pretrained(options.model, safety_checker=None, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(SEED)
    image = pipeline(PROMPT, num_inference_steps=50, guidance_scale=5.0, generator=generator).images[0]
    subjects, others = detect(FoldedDetector(options.detector), image, PROMPT)
    logits = ", ".join(f"{name} {found['logit']}" for name, found in subjects.items())
    found = all(found["logit"] > 0 for found in subjects.values())
    assert found and not others, f"'{PROMPT}': logits {logits}; not asked for: {others}"
    return f"'{PROMPT}', seed {SEED}: logits {logits}"


CHECKS = {
    "networks": networks,
    "tokenizer": tokenizer_files,
    "sources": sources,
    "pictures": pictures,
    "VAE": vae_quality,
    "U-Net": unet_errors,
    "detector": recognised,
    "text encoder": text_encoder_weights,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument(
        "--model", default=ASSETS, help="the model folder (default: the shipped one, ../assets/sprites)"
    )
    parser.add_argument(
        "--detector",
        default=DETECTOR,
        help="the detector's file (default: the shipped one, ../assets/detector/detector.safetensors)",
    )
    options = parser.parse_args()
    options.sprites = Work(options.work).sprites
    limit_threads()
    failed = 0
    for name, check in CHECKS.items():
        try:
            print(f"ok       {name}: {check(options)}", flush=True)
        except Skip as reason:
            print(f"skipped  {name}: {reason}", flush=True)
        except (AssertionError, OSError, SystemExit) as error:
            print(f"FAILED   {name}: {error}", flush=True)
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
