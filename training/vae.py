"""The VAE: a small AutoencoderKL that makes 32x32 latents with 4 channels of a picture, its loss and its batches."""

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from pictures import to_tensor
from render import SIZE

CONFIG = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=4,
    sample_size=SIZE,
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    block_out_channels=[16, 32, 64],
    layers_per_block=1,
    norm_num_groups=8,
    act_fn="silu",
    mid_block_add_attention=False,
    scaling_factor=1.0,
)
# Of the finished latents, per channel; the scaling factor then gives the U-Net unit variance.
LATENT_STD = 2
SCALING_FACTOR = 1 / LATENT_STD


def edges(images):
    return images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]


def reconstruction_loss(decoded, images):
    """L1 and L2, edges, and means over 4x4 pixels. Pixels unlike the median colour, the sprites, count thrice."""
    median = images.flatten(2).median(2).values[..., None, None]
    weight = 1 + 2 * ((images - median).abs().amax(1, keepdim=True) > 0.15).float()
    loss = (weight * ((decoded - images).abs() + (decoded - images).pow(2))).mean()
    for a, b in zip(edges(decoded), edges(images)):
        loss = loss + 0.5 * F.l1_loss(a, b)
    return loss + 0.25 * F.l1_loss(F.avg_pool2d(decoded, 4), F.avg_pool2d(images, 4))


def kl_loss(mean, logvar):
    return 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean()


def random_crops(images, rng, count, size=SIZE):
    """Crops of random pictures at random places; whole pictures by default."""
    crops = np.empty((count, size, size, 3), np.uint8)
    for i in range(count):
        image = images[rng.integers(len(images))]
        x, y = rng.integers(0, SIZE - size + 1, 2) if size < SIZE else (0, 0)
        crops[i] = image[y : y + size, x : x + size]
    return to_tensor(crops)


def autoencode(vae, images):
    """The picture decoded from a sample of its latents, and their mean and log variance."""
    latents = vae.encode(images).latent_dist
    noise = torch.randn_like(latents.mean)
    return vae.decode(latents.mean + torch.exp(0.5 * latents.logvar) * noise).sample, latents.mean, latents.logvar


@torch.no_grad()
def latent_means(vae, images, batch=32):
    return torch.cat([vae.encode(images[i : i + batch]).latent_dist.mode() for i in range(0, len(images), batch)])


def standardising_pictures(images):
    """The same 256 of a set of pictures every time."""
    return random_crops(images, np.random.default_rng(5), 256)


@torch.no_grad()
def standardise(vae, images):
    """Gives every latent channel mean 0 and the same deviation on these pictures, without a change to what is decoded.

    The affine map goes into quant_conv, its inverse into post_quant_conv.
    """
    latents = latent_means(vae, images)
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) / LATENT_STD
    encode, decode = vae.quant_conv, vae.post_quant_conv
    decode.bias += decode.weight[..., 0, 0] @ mean
    decode.weight *= std[None, :, None, None]
    # The first four channels of quant_conv are the mean, the others the log variance.
    encode.weight[:4] /= std[:, None, None, None]
    encode.bias[:4] = (encode.bias[:4] - mean) / std
    encode.bias[4:] -= 2 * std.log()
    vae.register_to_config(scaling_factor=SCALING_FACTOR)


def open_vae(folder):
    """In float32, also of a model folder that stores float16."""
    vae = AutoencoderKL.from_pretrained(folder, dtype=torch.float32)
    # Or the folder's path would be written into the config of whatever is saved of it.
    vae.register_to_config(_name_or_path="")
    return vae
