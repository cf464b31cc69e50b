#!/usr/bin/env python3
"""Fixtures that ae-unet and ae-vae carry inside their crates: a tiny seeded network each, and what it computes.

  python make_networks_fixtures.py

Written with diffusers 0.42 and torch 2.15 on the CPU. Of each network: config.json and the weights in half precision, which
are computed with in single precision, and expected.safetensors.

  crates/ae-unet/tests/fixtures   two levels of transformers of 1 and 2 blocks, latents that are not square and whose rows
                                  are odd; the prediction, and the cross-attention of one layer of the second level
  .../distilled, .../resnet-mid   without a middle, and with one of a resnet alone; levels of different numbers of resnets, and
                                  the guidance scale as a condition: predictions for the scales of 7.5 and 1
  crates/ae-vae/tests/fixtures    two levels; latents of an image, and an image of latents
"""

import os
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file

CRATES = Path(os.path.abspath(__file__)).parent.parent.parent / "crates"


def seeded(build, folder):
    """The network with seeded weights that half precision holds, saved in it."""
    torch.manual_seed(0)
    network = build().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # Norms, biases and the last convolution are ones and zeros otherwise.
            parameter.add_(torch.randn_like(parameter) * 0.05)
    network.half().save_pretrained(folder)
    return network.float()


class Recorder(AttnProcessor):
    """The attention of diffusers, which keeps its probabilities."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        softmax = attn.get_attention_scores

        def keep(*arguments):
            self.probs = softmax(*arguments)
            return self.probs

        attn.get_attention_scores = keep
        return super().__call__(attn, hidden_states, encoder_hidden_states, **kwargs)


def unet():
    folder = CRATES / "ae-unet" / "tests" / "fixtures"
    network = seeded(lambda: UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 12), layers_per_block=1, cross_attention_dim=12, attention_head_dim=(1, 2),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=4, use_linear_projection=True,
        transformer_layers_per_block=[1, 2]), folder)
    recorder = Recorder()
    network.set_attn_processor(AttnProcessor())
    network.down_blocks[1].attentions[0].transformer_blocks[1].attn2.set_processor(recorder)
    generator = torch.Generator("cpu").manual_seed(1)
    latents = torch.randn(2, 4, 9, 6, generator=generator)
    text = torch.randn(2, 7, 12, generator=generator)
    with torch.no_grad():
        noise = network(latents, 481, text).sample
    heads = network.down_blocks[1].attentions[0].transformer_blocks[1].attn2.heads
    probs = recorder.probs.unflatten(0, (2, heads)).contiguous()
    save_file(dict(latents=latents, text=text, noise=noise, probs=probs), folder / "expected.safetensors")


def distilled(name, mid):
    folder = CRATES / "ae-unet" / "tests" / "fixtures" / name
    network = seeded(lambda: UNet2DConditionModel(
        sample_size=(9, 6), block_out_channels=(4, 8), layers_per_block=[1, 2], cross_attention_dim=[6, 6],
        attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), mid_block_type=mid,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=2, time_cond_proj_dim=8,
        only_cross_attention=[False, False]), folder)
    generator = torch.Generator("cpu").manual_seed(3)
    latents = torch.randn(1, 4, 9, 6, generator=generator)
    text = torch.randn(1, 7, 6, generator=generator)
    expected = dict(latents=latents, text=text)
    for scale in (7.5, 1.0):
        condition = StableDiffusionPipeline.get_guidance_scale_embedding(None, torch.tensor([scale - 1]), 8)
        with torch.no_grad():
            expected[f"noise_{scale}"] = network(latents, 759, text, timestep_cond=condition).sample
    save_file(expected, folder / "expected.safetensors")


def vae():
    folder = CRATES / "ae-vae" / "tests" / "fixtures"
    network = seeded(lambda: AutoencoderKL(
        block_out_channels=(8, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2), folder)
    generator = torch.Generator("cpu").manual_seed(2)
    image = torch.rand(1, 3, 12, 20, generator=generator) * 2 - 1
    latents = torch.randn(2, 4, 5, 7, generator=generator)
    factor = network.config.scaling_factor
    with torch.no_grad():
        distribution = network.encode(image).latent_dist
        decoded = network.decode(latents / factor).sample
    save_file(dict(image=image, mean=(distribution.mean * factor).contiguous(), std=(distribution.std * factor).contiguous(),
                   latents=latents, decoded=decoded.contiguous()), folder / "expected.safetensors")


if __name__ == "__main__":
    unet()
    distilled("distilled", None)
    distilled("resnet-mid", "UNetMidBlock2D")
    vae()
