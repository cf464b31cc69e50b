"""Trains the detector on rendered pictures, some of which went through the VAE, so that its blur does not mislead it.

    python train_detector.py --minutes 4

Needs sprites and the finished VAE. Writes detector/detector.safetensors and detector/detector.json below the work
folder, with the accuracy on pictures kept back. It keeps no checkpoint: interrupted, it begins again.
"""

import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from detector import CONVOLUTIONS, Detector, targets
from files import Work, save_folder, save_json
from parallel import autocast, limit_threads
from pictures import to_bytes, to_tensor
from render import SIZE, render
from schedule import Budget, Log, cosine, set_rate
from sprites import Sprites
from vae import open_vae
from vocabulary import COLOUR_NAMES, SUBJECTS

BATCH = 32
RATE = 2e-3
WARMUP = 50
# Seeds of the renderings: for training, for the VAE, and kept back.
SEED_TRAINING, SEED_VAE, SEED_KEPT_BACK = 4242, 777, 31337


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    Budget.add_options(parser, minutes=4)
    parser.add_argument("--rendered", type=int, default=9000, help="pictures as rendered (default 9000)")
    parser.add_argument("--decoded", type=int, default=2400, help="pictures through the VAE (default 2400)")
    parser.add_argument("--kept-back", type=int, default=500, help="pictures of each kind to test on (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the batches and the noise (default 0)")
    options = parser.parse_args()
    if options.decoded <= options.kept_back:
        parser.error("--decoded must be more than --kept-back")
    return options


def pictures(sprites, count, seed):
    """Unlike the U-Net's, with both looks of a subject and the pairs held out."""
    images, _, entries = render(sprites, count, seed, single=0.25, dropped=0.15, held_out=True, both_looks=True)
    return images, *targets(entries)


@torch.no_grad()
def through_vae(vae, images):
    """Encoded and, with a little noise on the latents, decoded again."""
    decoded = np.empty_like(images)
    for i in range(0, len(images), 25):
        with autocast():
            latents = vae.encode(to_tensor(images[i : i + 25])).latent_dist.mode()
            latents = latents + 0.05 * latents.std() * torch.randn_like(latents)
            decoded[i : i + 25] = to_bytes(vae.decode(latents).sample.float())
    return decoded


def augment(images):
    """Blur, a lower resolution, contrast, colour casts, noise and blotches, as weak samples have."""
    count = len(images)
    if torch.rand(1) < 0.4:
        images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    if torch.rand(1) < 0.2:
        images = F.interpolate(F.interpolate(images, scale_factor=0.5, mode="bilinear"), size=SIZE, mode="bilinear")
    images = images * (1 + 0.15 * torch.randn(count, 1, 1, 1)) + 0.08 * torch.randn(count, 3, 1, 1)
    images = images + 0.06 * torch.rand(count, 1, 1, 1) * torch.randn_like(images)
    if torch.rand(1) < 0.3:
        images = images + F.interpolate(0.12 * torch.randn(count, 3, 8, 8), size=SIZE, mode="bilinear")
    return images.clamp(-1, 1)


def loss_of(subjects, colours, present, colour):
    loss = 10 * F.binary_cross_entropy_with_logits(subjects, present, pos_weight=torch.tensor(2.0))
    coloured = colour >= 0
    if coloured.any():
        loss = loss + 0.5 * F.cross_entropy(colours[coloured], colour[coloured])
    return loss


@torch.no_grad()
def accuracy(network, images, present, colour):
    parts = [network(to_tensor(images[i : i + 50])) for i in range(0, len(images), 50)]
    found, wanted, coloured = torch.cat([part[0] for part in parts]) > 0, present > 0.5, colour >= 0
    colours = torch.cat([part[1] for part in parts]).argmax(2)
    right = (found & wanted).sum().item()
    return {
        "images": len(images),
        "exact_set": (found == wanted).all(1).float().mean().item(),
        "recall": right / wanted.sum().item(),
        "precision": right / max(1, found.sum().item()),
        "colour_accuracy": (colours[coloured] == colour[coloured]).float().mean().item(),
    }


def description(accuracies):
    return {
        "input": f"N x 3 x {SIZE} x {SIZE} RGB in [-1, 1]",
        "convs_in_out_stride": CONVOLUTIONS,
        "layer": "3x3 convolution, padding 1, bias (batch norm folded in), ReLU",
        "then": "3x3 max-pool, stride 1, padding 1 (-inf)",
        "head": "1x1 convolution: 24 subject logits, then 11 colour logits, at 16 x 16 places",
        "present": "max over places of the subject's logit > 0",
        "colour": "argmax of the colour logits at the place of that maximum",
        "subjects": SUBJECTS,
        "colours": COLOUR_NAMES,
        "held_out_accuracy": accuracies,
    }


def main():
    options = parse()
    limit_threads()
    work = Work(options.work)
    sprites = Sprites(work.sprites)
    torch.manual_seed(options.seed)
    rendered = pictures(sprites, options.rendered, SEED_TRAINING)
    images, *labels = pictures(sprites, options.decoded, SEED_VAE)
    images = through_vae(open_vae(work.vae).eval(), images)
    split = options.decoded - options.kept_back
    decoded, kept_back = ([part[chosen] for part in (images, *labels)] for chosen in (slice(split), slice(split, None)))
    images = np.concatenate([rendered[0], decoded[0]])
    present, colour = (torch.cat([rendered[i], decoded[i]]) for i in (1, 2))
    chance = np.concatenate([np.ones(options.rendered), np.full(split, 1.5)])
    chance /= chance.sum()

    torch.manual_seed(options.seed)
    network = Detector()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    parameters, rng = list(network.parameters()), np.random.default_rng(options.seed)
    budget, log = Budget(options), Log(seconds=30)
    while not budget.over:
        set_rate(optimizer, RATE * min(1, (budget.done + 1) / WARMUP) * max(0.01, cosine(budget.fraction)))
        chosen = rng.choice(len(images), BATCH, p=chance)
        batch = augment(to_tensor(images[chosen]))
        if rng.random() < 0.5:
            batch = batch.flip(3)
        with autocast():
            subjects, colours = network(batch)
        loss = loss_of(subjects.float(), colours.float(), present[chosen], colour[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if log.add(budget.step(parameters, loss.item())):
            print(f"step {budget.done} loss {log.means[0]:.3f} done {budget.fraction:.3f}", flush=True)

    network.eval()
    accuracies = {
        "steps": budget.done,
        "clean": accuracy(network, *pictures(sprites, options.kept_back, SEED_KEPT_BACK)),
        "vae": accuracy(network, *kept_back),
    }

    def write(folder):
        save_file(network.folded(), os.path.join(folder, "detector.safetensors"))
        save_json(description(accuracies), os.path.join(folder, "detector.json"))

    save_folder(work.detector, write)
    exact = ", ".join(f"{kind} {accuracies[kind]['exact_set']:.3f}" for kind in ("clean", "vae"))
    print(f"{budget.done} steps; exact set of subjects: {exact}")


if __name__ == "__main__":
    main()
