#!/usr/bin/env python3
"""Stable Diffusion 1.5 and 2.1 of the real size with seeded random weights, in every format.

  python make_full.py DIR [sd1[/VARIANT]] [sd2[/VARIANT]]

A family alone means all of its variants. The configs are the published ones, the tokenizer is the small one of `make_reference.py`. DIR/formats.json describes
what is written, see formats.py; there are expected values for the weights in float32, and for those rounded to float16
and bfloat16, all computed in float32. The formats are spread over the two families so that they need no more than 22 GB of disk.
What exists in DIR is kept. Needs 7 GB of memory.
"""
import argparse
import json
import os
import shutil
import sys

import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import compvis
import formats
import make_reference as reference

# Path -> dtype of the stored weights.
VARIANTS = {
    "sd1": {"folder": "f32", "fp16": "f16", "bin": "f16", "sharded": "f16", "single-f16.safetensors": "f16", "single-f16.ckpt": "f16",
            "single-bf16.safetensors": "bf16"},
    "sd2": {"fp16": "f16", "bin": "f16", "single-f16.ckpt": "f16", "single-bf16.safetensors": "bf16"},
}
COMPONENTS = {"bin": ["text_encoder", "vae"], "sharded": ["unet"]}
ALL = ["text_encoder", "unet", "vae"]
LATENT_SIZE, VAE_SIZE = 32, 16


def build(family, tokenizer, seed=0):
    sd2 = family == "sd2"
    torch.manual_seed(seed)
    if sd2:
        size = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, projection_dim=512)
    else:
        size = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, max_position_embeddings=77, hidden_act="gelu" if sd2 else "quick_gelu", bos_token_id=0, eos_token_id=2,
        pad_token_id=1, **size))
    unet = diffusers.UNet2DConditionModel(
        sample_size=96 if sd2 else 64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=size["hidden_size"],
        attention_head_dim=(5, 10, 20, 20) if sd2 else 8, use_linear_projection=sd2, upcast_attention=sd2)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=768 if sd2 else 512,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    common = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, set_alpha_to_one=False)
    if sd2:
        scheduler = diffusers.DDIMScheduler(**common, clip_sample=False, prediction_type="v_prediction")
    else:
        scheduler = diffusers.PNDMScheduler(**common, skip_prk_steps=True)
    with torch.no_grad():
        for model in (text, unet, vae):
            for name, parameter in model.named_parameters():
                if parameter.ndim == 1:  # not all biases zero and all scales one, which could be exchanged unnoticed
                    parameter.add_(0.02 * torch.randn_like(parameter))
                if "attn2.to_q" in name or "attn2.to_k" in name:  # else attention is near-uniform
                    parameter.mul_(4.0)
    pipe = diffusers.StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
                                             safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    for name in ALL:
        getattr(pipe, name).eval()
    return pipe


def write(pipe, name, path):
    if name == "folder":
        pipe.save_pretrained(path)
    elif name == "fp16":
        pipe.save_pretrained(path, variant="fp16")
    elif name == "bin":
        formats.save_bin(pipe, path)
    elif name == "sharded":
        pipe.unet.save_pretrained(f"{path}/unet", max_shard_size="600MB")
    elif name.endswith(".ckpt"):
        compvis.save_ckpt(formats.with_means(compvis.state_dict(pipe)), path)
    else:
        formats.save_single(compvis.state_dict(pipe), path)


def write_once(path, write):
    """Under another name first, so that what has the name is complete."""
    if not os.path.exists(path):
        part = path + ".part"
        if os.path.isdir(part):
            shutil.rmtree(part)
        write(part)
        os.rename(part, path)
        print(path, flush=True)


def write_family(family, wanted, out, tokenizer):
    folder = f"{out}/{family}"
    os.makedirs(folder, exist_ok=True)
    for dtype in formats.DTYPES:
        names = [name for name, stored in VARIANTS[family].items() if stored == dtype and name in wanted]
        if not names:
            continue
        expected = f"{folder}/expected-{dtype}.safetensors"
        if all(os.path.exists(path) for path in [expected, *(f"{folder}/{name}" for name in names)]):
            continue
        pipe = build(family, tokenizer).to(formats.DTYPES[dtype])
        for name in names:
            write_once(f"{folder}/{name}", lambda path: write(pipe, name, path))
        pipe.to(torch.float32)
        write_once(expected, lambda path: formats.expected(pipe, LATENT_SIZE, VAE_SIZE, path))
        del pipe


def describe(out, tokenizer):
    """Of what is in `out`."""
    families = [family for family in VARIANTS if os.path.isdir(f"{out}/{family}")]
    variants = []
    for family in families:
        for name, dtype in VARIANTS[family].items():
            if not os.path.exists(f"{out}/{family}/{name}"):
                continue
            layout = "diffusers" if "." not in name else "stability" if family == "sd2" else "compvis"
            variants.append(dict(
                name=f"{family}-{name}", path=f"{family}/{name}", family=family, layout=layout, dtype=dtype, components=COMPONENTS.get(name, ALL),
                variant="fp16" if name == "fp16" else None, expected=f"{family}/expected-{dtype}.safetensors"))
    with torch.device("meta"):
        described = {family: formats.describe(build(family, tokenizer), LATENT_SIZE) for family in families}
    return dict(families=described, variants=variants)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", metavar="DIR")
    arguments.add_argument("families", metavar="FAMILY[/VARIANT]", nargs="*")
    arguments = arguments.parse_args()
    out, wanted = arguments.out, {}
    for argument in arguments.families or VARIANTS:
        family, _, variant = argument.partition("/")
        known = VARIANTS.get(family, {})
        if not known or variant and variant not in known:
            expected = ", ".join(known and [f"{family}/{name}" for name in known] or VARIANTS)
            sys.exit(f"unknown model {argument}: expected some of {expected}")
        wanted.setdefault(family, set()).update([variant] if variant else known)
    reference.build_tokenizer(f"{out}/tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(f"{out}/tokenizer")
    for family, variants in wanted.items():
        write_family(family, variants, out, tokenizer)
    with open(f"{out}/formats.json", "w") as f:
        json.dump(describe(out, tokenizer), f, indent=1)


if __name__ == "__main__":
    main()
