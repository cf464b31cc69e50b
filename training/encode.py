"""Encodes pictures with the VAE, once for all of the U-Net's training.

    torchrun --nproc_per_node 2 encode.py --tag train --count 12000

Writes data/latents_TAG.npy (float16, N x 4 x 32 x 32): the means, times the scaling factor.
"""

import argparse
import os

import numpy as np
import torch

import parallel
from files import Work
from pictures import to_tensor
from vae import open_vae

BATCH = 16


def encode(vae, images):
    """Scaled latents of uint8 pictures, in float16."""
    with torch.no_grad(), parallel.autocast():
        means = vae.quant_conv(vae.encoder(to_tensor(images)))[:, :4].float()
    return (means * vae.config.scaling_factor).half()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--tag", default="train", help="the pictures to encode (default train)")
    parser.add_argument("--count", type=int, help="only the first so many (default: all)")
    options = parser.parse_args()
    parallel.start()
    work = Work(options.work)
    images = np.load(work.images(options.tag), mmap_mode="r")
    vae = open_vae(work.vae).eval()
    count = min(options.count or len(images), len(images))
    path = work.latents(options.tag)
    temporary = f"{path}.tmp"
    if parallel.RANK == 0:
        np.lib.format.open_memmap(temporary, "w+", np.float16, (count, 4, 32, 32)).flush()
    parallel.barrier()
    # Every process fills its share of the one file.
    latents = np.load(temporary, mmap_mode="r+")
    first, end = (count * rank // parallel.WORLD for rank in (parallel.RANK, parallel.RANK + 1))
    for i in range(first, end, BATCH):
        j = min(end, i + BATCH)
        latents[i:j] = encode(vae, images[i:j]).numpy()
    latents.flush()
    parallel.barrier()
    if parallel.RANK == 0:
        os.replace(temporary, path)
        print(f"{count} latents, standard deviation {np.asarray(latents[:2000], np.float32).std():.3f}")
    parallel.stop()


if __name__ == "__main__":
    main()
