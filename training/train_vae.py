"""Trains the VAE on crops and whole pictures.

    torchrun --nproc_per_node 2 train_vae.py --minutes 10
    torchrun --nproc_per_node 2 train_vae.py --minutes 5.5 --whole 1 --rate 1.5e-3 --new-schedule

Goes on from checkpoints/vae.pt. When the schedule is over, latents are standardised and model/vae is written; the data
must then be encoded, and the U-Net trained, anew.
"""

import argparse
import os

import numpy as np
import torch
from diffusers import AutoencoderKL

import parallel
from files import Work, save_checkpoint, save_folder
from pictures import psnr
from schedule import Budget, Log, cosine, set_rate
from vae import (
    CONFIG,
    autoencode,
    kl_loss,
    latent_means,
    random_crops,
    reconstruction_loss,
    standardise,
    standardising_pictures,
)

CROP = 64
WARMUP = 100
KL_WEIGHT = 1e-4
SAVE_EVERY = 30


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--tag", default="train", help="the pictures to train on (default train)")
    Budget.add_options(parser, minutes=10, resumes=True)
    parser.add_argument(
        "--batch", type=int, default=16, help="crops a step over all processes; half as many whole pictures"
    )
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate (default 2e-3)")
    parser.add_argument("--whole", type=float, default=0.15, help="last part of the schedule on whole pictures (0.15)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the batches (default 0)")
    return parser.parse_args()


def finish(vae, images, work):
    """Measures, standardises and writes the VAE."""
    vae.eval()
    measured = random_crops(images, np.random.default_rng(99), 24)
    with torch.no_grad():
        quality = psnr(vae.decode(latent_means(vae, measured)).sample, measured)
    standardise(vae, standardising_pictures(images))
    save_folder(work.vae, vae.save_pretrained)
    print(f"PSNR {quality:.2f} dB; wrote {work.vae}")


def main():
    options = parse()
    parallel.start()
    work = Work(options.work)
    images = np.load(work.images(options.tag), mmap_mode="r")
    torch.manual_seed(options.seed)
    vae = AutoencoderKL(**CONFIG)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    checkpoint, step, position = work.checkpoint("vae"), 0, None
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["opt"])
        step = state["step"]
        position = None if options.new_schedule else state["position"]
    parallel.say(f"VAE, {sum(p.numel() for p in parameters)} parameters, from step {step}")

    budget, log = Budget(options, position), Log(SAVE_EVERY)
    # Another stream per process, and another one after an interruption.
    rng = np.random.default_rng((options.seed + step, parallel.RANK))
    torch.manual_seed(options.seed + step * 10 + parallel.RANK)
    batch = options.batch // parallel.WORLD

    def save():
        if parallel.RANK == 0:
            state = {"vae": vae.state_dict(), "opt": optimizer.state_dict(), "step": step, "position": budget.position}
            save_checkpoint(state, checkpoint)

    while not budget.over:
        rate = options.rate * min(1, (step + 1) / WARMUP) * (0.02 + 0.98 * cosine(budget.fraction))
        set_rate(optimizer, rate)
        if budget.fraction >= 1 - options.whole:
            x = random_crops(images, rng, batch // 2)
        else:
            x = random_crops(images, rng, batch, CROP)
        with parallel.autocast():
            decoded, mean, logvar = autoencode(vae, x)
        reconstruction = reconstruction_loss(decoded.float(), x)
        loss = reconstruction + KL_WEIGHT * kl_loss(mean.float(), logvar.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        told = budget.step(parameters, float(reconstruction.detach()))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if log.add(told):
            parallel.say(f"step {step} reconstruction {log.means[0]:.4f} rate {rate:.1e} done {budget.fraction:.3f}")
            save()
    save()
    if parallel.RANK == 0:
        finish(vae, images, work)
    parallel.stop()


if __name__ == "__main__":
    main()
