"""Trains the U-Net to predict the noise in encoded pictures, and to attend to a subject's token where the subject is.

The text encoder is frozen.

    torchrun --nproc_per_node 2 train_unet.py --minutes 185 --tags 401,402
    torchrun --nproc_per_node 2 train_unet.py --minutes 95 --tags 401,402,501,502 --rate 8e-4 --new-schedule

Goes on from checkpoints/unet.pt: weights, their moving average and the optimizer. Without it, begins with the weights of
`--unet`, or random ones. export.py makes the model folder of the checkpoint.
"""

import argparse
import copy
import os
import time

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

import parallel
import text_encoder
from attention import attention_error, positions, record_attention
from files import Work, load_json, save_checkpoint
from schedule import Budget, Log, cosine, set_rate
from unet import CONFIG, STEPS, WEIGHTS, build, noise_error

WARMUP = 150
# Part of the schedule at the full learning rate, before it falls.
FLAT = 0.5
EMA = 0.998
# Share of captions left out, for classifier-free guidance.
UNCONDITIONAL = 0.1
# Weight of the attention's error.
ATTENTION = 1.0
SAVE_EVERY = 180


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--tags", default="train", help="the encoded pictures to train on, with commas (default train)")
    Budget.add_options(parser, minutes=47, resumes=True)
    parser.add_argument("--unet", metavar="FOLDER", help="weights to begin with, as ../assets/sprites/unet")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step over all processes (default 32)")
    parser.add_argument("--rate", type=float, default=1e-3, help="the highest learning rate (default 1e-3)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the batches and the noise (default 0)")
    return parser.parse_args()


class Data:
    """All latents, the state of every different caption, and which latents have which; caption 0 is the empty one."""

    def __init__(self, work, tags):
        latents, coverage, captions = [], [], []
        for tag in tags.split(","):
            latents.append(np.load(work.latents(tag)))
            coverage.append(np.load(work.coverage(tag))[: len(latents[-1])])
            captions += [entry["caption"] for entry in load_json(work.captions(tag))[: len(latents[-1])]]
        different = ["", *sorted(set(captions))]
        index = {caption: i for i, caption in enumerate(different)}
        self.latents = torch.from_numpy(np.concatenate(latents))
        self.coverage = torch.from_numpy(np.concatenate(coverage)).flatten(2)
        self.positions = torch.tensor([positions(caption) for caption in different])
        self.captions = torch.tensor([index[caption] for caption in captions])
        tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
        encoder = CLIPTextModel.from_pretrained(work.text_encoder, dtype=torch.float32).eval()
        self.states = text_encoder.states(tokenizer, encoder, different)
        # Any token after the end of the empty prompt.
        self.padding = self.states[0, 5].float()

    def batch(self, count):
        chosen = torch.randint(len(self.latents), (count,))
        captions = self.captions[chosen]
        captions[torch.rand(count) < UNCONDITIONAL] = 0
        subjects = self.positions[captions]
        # A subject that the caption does not name has the start token's position, and covers nothing.
        coverage = self.coverage[chosen] / 255 * (subjects > 0)[..., None]
        return self.latents[chosen].float(), self.states[captions].float(), subjects, coverage


def stratified_timesteps(count):
    """Random timesteps, spread evenly over the batch of all processes."""
    place = torch.arange(count) / count + parallel.RANK / (parallel.WORLD * count)
    return ((torch.rand(1) + place) % 1 * STEPS).long().clamp(0, STEPS - 1)


def make_optimizer(unet, rate):
    """AdamW, with weight decay for matrices only."""
    matrices = [p for p in unet.parameters() if p.ndim > 1]
    vectors = [p for p in unet.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))


def main():
    options = parse()
    parallel.start()
    work = Work(options.work)
    data = Data(work, options.tags)
    torch.manual_seed(options.seed)
    if options.unet:
        unet = UNet2DConditionModel.from_pretrained(options.unet, dtype=torch.float32)
    else:
        unet = build(data.padding)
    average = copy.deepcopy(unet).requires_grad_(False)
    record = record_attention(unet)
    parameters = list(unet.parameters())
    optimizer = make_optimizer(unet, options.rate)
    checkpoint, step, seen, position = work.checkpoint("unet"), 0, 0, None
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint)
        unet.load_state_dict(state["unet"])
        average.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["opt"])
        step, seen = state["step"], state["seen"]
        position = None if options.new_schedule else state["position"]
    parallel.say(
        f"U-Net, {sum(p.numel() for p in parameters)} parameters, {len(data.latents)} latents, from step {step}"
    )

    def save():
        if parallel.RANK == 0:
            state = {"unet": unet.state_dict(), "ema": average.state_dict(), "opt": optimizer.state_dict()}
            state |= {"step": step, "seen": seen, "position": budget.position, "cfg": CONFIG}
            save_checkpoint(state, checkpoint)

    budget, log, saved = Budget(options, position), Log(seconds=30), time.time()
    torch.manual_seed(options.seed + 1000 * step + parallel.RANK)
    batch = options.batch // parallel.WORLD
    while not budget.over:
        fall = cosine(max(0, budget.fraction - FLAT) / (1 - FLAT))
        rate = options.rate * min(1, (step + 1) / WARMUP) * (0.01 + 0.99 * fall)
        set_rate(optimizer, rate)
        latents, states, subjects, coverage = data.batch(batch)
        timesteps = stratified_timesteps(batch)
        errors = noise_error(unet, latents, states, timesteps, torch.randn_like(latents))
        noise = (errors * WEIGHTS[timesteps]).mean()
        attention = attention_error(record, subjects, coverage).mean()
        optimizer.zero_grad(set_to_none=True)
        (noise + ATTENTION * attention).backward()
        told = budget.step(parameters, float(noise.detach()), float(attention.detach()))
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        seen += batch * parallel.WORLD
        with torch.no_grad():
            # At the beginning a shorter memory, or the random weights would stay in it for long.
            keep = min(EMA, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(average.parameters()), parameters, 1 - keep)
        if log.add(told):
            noise, attention = log.means
            parallel.say(
                f"step {step} noise {noise:.4f} attention {attention:.4f} rate {rate:.1e} samples {seen} "
                f"done {budget.fraction:.3f}"
            )
        if time.time() - saved > SAVE_EVERY:
            save()
            saved = time.time()
    save()
    parallel.say(f"{step} steps, {seen} samples")
    parallel.stop()


if __name__ == "__main__":
    main()
