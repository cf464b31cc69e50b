"""The U-Net: a small UNet2DConditionModel, how its cross-attention begins, and what it is trained to predict."""

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock

import parallel

CONFIG = dict(
    sample_size=32,
    in_channels=4,
    out_channels=4,
    layers_per_block=1,
    block_out_channels=[32, 96, 160],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    mid_block_type="UNetMidBlock2DCrossAttn",
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    cross_attention_dim=128,
    attention_head_dim=4,
    norm_num_groups=16,
    act_fn="silu",
)
# Stable Diffusion's noise schedule.
STEPS = 1000
SCHEDULER = dict(
    num_train_timesteps=STEPS,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    clip_sample=False,
    set_alpha_to_one=False,
    steps_offset=1,
    prediction_type="epsilon",
)
BETAS = torch.linspace(SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5, STEPS, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0).float()
SNR = ALPHAS / (1 - ALPHAS)
# Min-SNR (Hang et al. 2023) with a floor, as a weight of the error of the noise: at high noise, where layout and
# subjects are decided, Min-SNR alone would all but vanish.
WEIGHTS = ((SNR.clamp(max=5) + 0.5) / SNR).clamp(max=20)


def scheduler():
    return DDIMScheduler(**SCHEDULER)


@torch.no_grad()
def turn_down_padding(unet, padding, strength=4.0):
    """Begins every cross-attention with the score of the padding's state lowered by `strength`.

    Some 70 of the 77 tokens are padding, and the words would drown in them. Queries get a constant part from the bias
    of their norm, and the key of the padding its opposite; the words' states are orthogonal to the padding's.
    """
    generator = torch.Generator().manual_seed(3)
    for block in unet.modules():
        if not isinstance(block, BasicTransformerBlock) or block.attn2 is None:
            continue
        bias = block.norm2.bias
        bias.copy_(0.7 * torch.sign(torch.randn(bias.shape, generator=generator)))
        query = (block.attn2.to_q.weight @ bias).view(block.attn2.heads, -1)
        key = -strength * query.shape[1] ** 0.5 * query / query.pow(2).sum(1, keepdim=True)
        block.attn2.to_k.weight += key.reshape(-1, 1) * padding[None] / padding.pow(2).sum()


def build(padding):
    unet = UNet2DConditionModel(**CONFIG)
    turn_down_padding(unet, padding)
    return unet


def add_noise(latents, noise, timesteps):
    alphas = ALPHAS[timesteps].view(-1, 1, 1, 1)
    return alphas.sqrt() * latents + (1 - alphas).sqrt() * noise


def noise_error(unet, latents, states, timesteps, noise):
    """The mean squared error of the predicted noise, per picture."""
    noised = add_noise(latents, noise, timesteps)
    with parallel.autocast():
        predicted = unet(noised, timesteps, encoder_hidden_states=states, return_dict=False)[0]
    return (predicted.float() - noise).pow(2).mean((1, 2, 3))
