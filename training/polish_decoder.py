"""Trains the VAE's decoder alone, on whole pictures: the encoder, and so the latents of the U-Net, stay as they are.

    torchrun --nproc_per_node 2 polish_decoder.py --minutes 4

Reads and replaces model/vae; run again, it polishes further. Interrupted, it leaves model/vae as it was.
"""

import argparse

import numpy as np
import torch

import parallel
from files import Work, save_folder
from pictures import psnr, to_tensor
from schedule import Budget, Log, cosine, set_rate
from vae import latent_means, open_vae, random_crops, reconstruction_loss

WARMUP = 30
# Of the latents' deviation: the U-Net's latents will not be exact either.
NOISE = 0.03


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--tag", default="train", help="the encoded pictures to train on (default train)")
    Budget.add_options(parser, minutes=4)
    parser.add_argument("--batch", type=int, default=16, help="pictures a step over all processes (default 16)")
    parser.add_argument("--rate", type=float, default=1e-3, help="the highest learning rate (default 1e-3)")
    parser.add_argument("--seed", type=int, default=0, help="of the batches and the noise (default 0)")
    options = parser.parse_args()
    parallel.start()
    work = Work(options.work)
    images = np.load(work.images(options.tag), mmap_mode="r")
    latents = np.load(work.latents(options.tag), mmap_mode="r")
    vae = open_vae(work.vae).requires_grad_(False)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.99))
    budget, log = Budget(options), Log(seconds=30)
    rng = np.random.default_rng((options.seed, parallel.RANK))
    torch.manual_seed(options.seed * 10 + parallel.RANK)
    while not budget.over:
        warmup = min(1, (budget.done + 1) / WARMUP)
        set_rate(optimizer, options.rate * warmup * (0.02 + 0.98 * cosine(budget.fraction)))
        chosen = rng.integers(len(latents), size=options.batch // parallel.WORLD)
        x = to_tensor(np.stack([images[i] for i in chosen]))
        z = torch.from_numpy(np.stack([latents[i] for i in chosen])).float() / vae.config.scaling_factor
        z = z + NOISE * z.std() * torch.randn_like(z)
        with parallel.autocast():
            decoded = vae.decode(z).sample
        loss = reconstruction_loss(decoded.float(), x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        told = budget.step(parameters, float(loss.detach()))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if log.add(told):
            parallel.say(f"step {budget.done} reconstruction {log.means[0]:.4f}")
    if parallel.RANK == 0:
        vae.eval()
        # The last pictures of the set: not among the latents when fewer were encoded than rendered.
        x = random_crops(images[-500:], np.random.default_rng(99), 32)
        with torch.no_grad():
            quality = psnr(vae.decode(latent_means(vae, x)).sample, x)
        save_folder(work.vae, vae.save_pretrained)
        print(f"PSNR {quality:.2f} dB after {budget.done} steps of the decoder")
    parallel.stop()


if __name__ == "__main__":
    main()
