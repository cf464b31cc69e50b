#!/usr/bin/env python3
"""Fixtures of the objectives after Attend-and-Excite, by their formulas, in double precision.

  python make_objectives_fixtures.py --out ../fixtures/objectives

  objectives.safetensors  latents [2, 2, 12, 8, 6]: those of two steps, 10 and 20 of 50; pattern [16, 12]; and of every case and step
                          CASE/STEP/loss [2], CASE/STEP/gradient [2, 12, 8, 6] and, where a refinement has another loss,
                          CASE/STEP/refinement_loss and, as if the step were the first, CASE/refinement_gradient

In place of a model stands a softmax. Its cross-attention has two heads, over the channels as tokens of 2 and of 1 times the latents; at twice
the resolution, over the latents repeated and times the pattern. Its self-attention has one, of 0.2 times the products of the patches.

Sources: the papers, and what their published codes do where that changes a result.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

ROWS, COLS, TOKENS = 8, 6, 12
SCALE = 20.0
WINDOW = range(1, 11)
EPS = torch.finfo(torch.float32).eps


def heads(latents, factors=(2.0, 1.0)):
    """[tokens, rows, cols], the mean over heads."""
    return torch.stack([(latents * factor).softmax(0) for factor in factors]).mean(0)


def among(latents):
    """[patches, patches]"""
    patches = latents.flatten(1).T
    return (patches @ patches.T * 0.2).softmax(-1)


def smooth(maps):
    """The 3x3 Gaussian of Attend-and-Excite with sigma 0.5 over maps [n, rows, cols]."""
    line = torch.tensor([math.exp(-(((i - 1) / (2 * 0.5)) ** 2)) for i in range(3)], dtype=torch.float64)
    kernel = torch.outer(line, line) / line.sum() ** 2
    return F.conv2d(F.pad(maps[:, None], (1, 1, 1, 1), mode="reflect"), kernel[None, None])[:, 0]


def shares(maps):
    """The softmax over the tokens of the window, the others zero."""
    result = torch.zeros_like(maps)
    result[list(WINDOW)] = (maps[list(WINDOW)] * SCALE).softmax(0)
    return result


def words(maps, positions):
    return torch.stack([maps[word].sum(0) for word in positions])


# Linguistic binding


def symmetric_kl(a, b):
    a, b = (x.flatten() / x.sum() for x in (a, b))
    log = lambda x: x.clamp_min(EPS).log()
    return 0.5 * ((a * (log(a) - log(b))).sum() + (b * (log(b) - log(a))).sum())


def cosine(a, b):
    return 1 - F.cosine_similarity(a.flatten(), b.flatten(), dim=0)


def total_variation_distance(a, b):
    return 0.5 * (a / a.sum() - b / b.sum()).abs().sum()


def binding(maps, phrases, outside, distance, both, bare=True, intensity=0.0, largest=False):
    def far(a, b):
        if largest:
            return torch.stack([distance(maps[i], maps[j]) for i in a for j in b]).max()
        return distance(maps[a].sum(0), maps[b].sum(0))

    loss = 0.0
    for noun, modifiers in phrases:
        others = [word for other in phrases if other[0] is not noun for word in (other[0], *other[1])]
        if largest:
            others = [[token] for word in others for token in word]
        rest = others + [[token] for token in outside]
        away = lambda word: torch.stack([far(word, other) for other in rest]).mean()
        for modifier in modifiers:
            loss = loss + far(modifier, noun) - (0.5 * (away(noun) + away(modifier)) if both else away(noun))
        if not modifiers and bare:
            loss = loss - away(noun)
    if intensity:
        nouns = smooth(words(shares(maps), [noun for noun, _ in phrases]))
        loss = loss - intensity * nouns.flatten(1).max(1).values.sum()
    return loss


# CONFORM


def conform(maps, groups, temperature, softmax, state):
    maps = smooth((shares(maps) if softmax else maps)[[token for group in groups for token in group]])
    labels = [index for index, group in enumerate(groups) for _ in group]
    vectors = maps.flatten(1)
    now = vectors.detach()
    if "maps" in state:
        vectors, labels = torch.cat([vectors, state["maps"]]), labels * 2
    state["maps"] = now
    similar = lambda a, b: (F.cosine_similarity(vectors[a], vectors[b], dim=0) / temperature).exp()
    losses = []
    for a, label in enumerate(labels):
        negatives = sum(similar(a, n) for n, other in enumerate(labels) if other != label)
        for p, other in enumerate(labels):
            if p != a and other == label:
                losses.append(-(similar(a, p) / (similar(a, p) + negatives)).log())
    return torch.stack(losses).mean() if losses else 0.0 * maps.sum()


# BoxDiff


def boxdiff(maps, subjects, boxes, share=0.2, reach=1):
    maps = smooth(words(shares(maps), subjects))
    loss, inside = 0.0, []
    for map, (left, top, right, bottom) in zip(maps, boxes):
        x1, x2, y1, y2 = round(left * COLS), round(right * COLS), round(top * ROWS), round(bottom * ROWS)
        mask = torch.zeros(ROWS, COLS, dtype=torch.bool)
        mask[y1:y2, x1:x2] = True
        peak = lambda values: values.sort(descending=True).values[: max(1, int(share * len(values)))].mean()
        inside.append((1 - peak(map[mask])).clamp_min(0))
        outside = peak(map[~mask]).clamp_min(0)

        def corner(projection, first, last):
            at = torch.arange(len(projection))
            near = ((at - first).abs() <= reach) | ((at - last).abs() <= reach)
            target = ((at >= first) & (at < last)).double()
            return ((projection - target).abs() * near).mean()

        loss = loss + inside[-1] + outside + corner(map.max(0).values, x1, x2) + corner(map.max(1).values, y1, y2)
    return loss, torch.stack(inside).max()


# InitNO and Self-Cross


def otsu(map):
    steps = (map.detach() * 255).long().flatten()
    best, threshold = 0.0, 0
    for t in range(256):
        low, high = steps[steps <= t].double(), steps[steps > t].double()
        if len(low) and len(high):
            between = len(low) * len(high) * (low.mean() - high.mean()) ** 2
            if between > best:
                best, threshold = between, t
    return ((map.detach() * 255).long() >= threshold)


def stray(map):
    mask = otsu(map)
    peak = divmod(int(map.argmax()), COLS)
    part, waiting = torch.zeros_like(mask), [peak]
    while waiting:
        row, col = waiting.pop()
        if 0 <= row < ROWS and 0 <= col < COLS and mask[row, col] and not part[row, col]:
            part[row, col] = True
            waiting += [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)]
    outside = map[~part]
    if len(outside) and outside.max() > map[part].min():
        return outside.max()
    return 0.0 * map.sum()


def regions(maps, self_maps, subjects, top, kind, gate, update, refinement, state):
    raw = words(shares(maps), subjects)
    maps = smooth(raw)
    cross = torch.stack([(1 - map.flatten().topk(top).values.mean()).clamp_min(0) for map in maps]).max()
    pairs = [(a, b) for a in range(len(maps)) for b in range(len(maps)) if a != b]
    if kind == "peaks":
        seen = [smooth(self_maps[map.argmax()].reshape(1, ROWS, COLS))[0] for map in maps]
        overlap = [torch.minimum(seen[a], seen[b]).sum() / ((seen[a] + seen[b]).sum() + 1e-6) for a, b in pairs]
    else:
        reached = []
        for map in maps:
            patches = otsu(map).flatten().nonzero()[:, 0]
            sum_ = sum(map.flatten()[p] * smooth(self_maps[p].reshape(1, ROWS, COLS))[0] for p in patches)
            reached.append(sum_ / (sum_.sum() + 1e-4))
        overlap = [torch.minimum(reached[a], maps[b]).sum() for a, b in pairs]
    overlap = torch.stack(overlap).mean()
    clean = sum(stray(map) for map in maps)
    state["average"] = 0.9 * state["average"] + 0.1 * raw.detach() if "average" in state else raw.detach()
    align = (maps - smooth(state["average"])).abs().flatten(1).mean(1).sum()
    counts = float(cross.detach() <= gate)
    joint = lambda w: cross + w[0] * counts * overlap + w[1] * clean + w[2] * align
    return joint(update), joint(refinement)


# Divide & Bind


def variation(map, published):
    down = map[-1:] - map[1:] if published else map[1:] - map[:-1]
    return (map[:, 1:] - map[:, :-1]).abs().mean() + down.abs().mean()


def divide_and_bind(maps, high, subjects, attributes, published, weight):
    maps = smooth(words(shares(maps), subjects))
    colours = None
    if attributes:
        low = F.interpolate(high[None], (ROWS, COLS), mode="nearest")[0]
        colours = smooth(words(shares(low), [word for _, word in attributes]))
    losses = []
    for subject, map in enumerate(maps):
        tv = variation(map, published)
        loss = -tv
        for (owner, _), colour in zip(attributes, colours if attributes else []):
            if owner != subject:
                continue
            if published:
                colour = colour / colour.max() * map.max()
                p, q = map.flatten().softmax(0), colour.flatten().softmax(0)
                cut = (0.3 if tv < 0.1 else 0.2) * p.max()
                p, q = (p - cut).clamp_min(0) + 1e-5, (q - cut).clamp_min(0) + 1e-5
            else:
                p, q = map.flatten() / map.sum(), colour.flatten() / colour.sum()
            m = (p + q) / 2
            loss = loss + weight * 0.5 * ((p * (p / m).log()).sum() + (q * (q / m).log()).sum())
        losses.append(loss)
    return torch.stack(losses).max()


# Predicated Diffusion


def predicated(maps, phrases, exclusion):
    read = lambda word: maps[word].sum(0).flatten()
    loss = 0.0
    for noun, _ in phrases:
        loss = loss - (1 - (1 - read(noun)).prod()).log()
    implies = lambda p, q: -(1 - p * (1 - q)).log().sum()
    for noun, modifiers in phrases:
        for modifier in modifiers:
            loss = loss + implies(read(noun), read(modifier)) + implies(read(modifier), read(noun))
            for other, _ in phrases:
                if other is not noun:
                    loss = loss - exclusion * (1 - read(other) * read(modifier)).log().sum()
    return loss


PAIRS = [([3], [[2]]), ([7], [[5], [6]])]
PIECES = [([3, 4], [[2]]), ([8], [[6, 7]])]
NOUNS = [([2], []), ([5], [])]
BOXES = [(0.0, 0.1, 0.5, 0.9), (0.55, 0.3, 1.0, 0.62)]
SUBJECTS = [[2], [5, 6], [8]]


def cases(pattern):
    """Name to function of latents [12, 8, 6], step and state."""
    bind = lambda *args, **options: lambda z, step, state: binding(heads(z), *args, **options)
    boxes = lambda z, step, state: boxdiff(heads(z), SUBJECTS[:2], BOXES)
    region = lambda *args: lambda z, step, state: regions(heads(z), among(z), SUBJECTS, *args, state)
    contrast = lambda groups, softmax: lambda z, step, state: conform(heads(z), groups, 0.5, softmax, state)

    def divide(attributes, published):
        def loss(z, step, state):
            high = heads(z.repeat_interleave(2, 1).repeat_interleave(2, 2) * pattern)
            return divide_and_bind(heads(z), high, SUBJECTS, attributes, published, {10: 5.0, 20: 10.0}[step])

        return loss

    colours = [(0, [1]), (2, [7])]
    return {
        "syngen": bind(PAIRS, [1, 4, 8], symmetric_kl, both=True),
        "syngen-pieces": bind(PIECES, [1, 5], symmetric_kl, both=True),
        "syngen-largest": bind(PIECES, [1, 5], symmetric_kl, both=True, largest=True),
        "syngen-nouns": bind(NOUNS, [1, 3, 4], symmetric_kl, both=True),
        "ebama": bind(PAIRS, [1, 4, 8], cosine, both=False, intensity=0.5),
        "ebama-nouns": bind(NOUNS, [1, 3, 4], cosine, both=False, intensity=0.5),
        "total-variation": bind(PAIRS, [1, 4, 8], total_variation_distance, both=True),
        "conform": contrast([[2, 3], [6, 7]], False),
        "conform-subjects": contrast([[2], [5], [8]], True),
        "boxdiff": boxes,
        "initno": region(1, "peaks", math.inf, (0, 0, 0), (1, 0.1, 0.1)),
        "initno-joint": region(1, "peaks", math.inf, (1, 0.1, 0.1), (1, 0.1, 0.1)),
        "self-cross": region(16, "regions", math.inf, (1, 0.1, 0.0), (1, 0.1, 0.1)),
        "self-cross-closed": region(16, "regions", 0.01, (1, 0.1, 0.0), (1, 0.1, 0.1)),
        "divide": divide([], False),
        "divide-published": divide([], True),
        "bind": divide(colours, False),
        "bind-published": divide(colours, True),
        "predicated": lambda z, step, state: predicated(heads(z), PAIRS, 0.3),
    }


def evaluate(function, latents, step, state, refinement):
    """The loss and its gradient."""
    latents = latents.clone().requires_grad_()
    losses = function(latents, step, state)
    loss = losses[int(refinement)] if isinstance(losses, tuple) else losses
    (gradient,) = torch.autograd.grad(loss, latents, allow_unused=True)
    return loss.detach(), torch.zeros_like(latents) if gradient is None else gradient, isinstance(losses, tuple)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "objectives")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 2, TOKENS, ROWS, COLS, generator=generator).double()
    pattern = 1 + 0.3 * torch.randn(2 * ROWS, 2 * COLS, generator=generator).double()
    tensors = {"latents": latents, "pattern": pattern}
    for name, function in cases(pattern).items():
        states = [{}, {}]
        for step, batch in zip((10, 20), latents):
            results = [evaluate(function, z, step, state, False) for z, state in zip(batch, states)]
            tensors[f"{name}/{step}/loss"] = torch.stack([loss for loss, _, _ in results])
            tensors[f"{name}/{step}/gradient"] = torch.stack([gradient for _, gradient, _ in results])
            if results[0][2]:
                alone = [evaluate(function, z, step, {}, True) for z in batch]
                tensors[f"{name}/{step}/refinement_loss"] = torch.stack([loss for loss, _, _ in alone])
                tensors[f"{name}/{step}/refinement_gradient"] = torch.stack([gradient for _, gradient, _ in alone])
        print(name, *(tensors[f"{name}/{step}/loss"].tolist() for step in (10, 20)))
    save_file({name: tensor.float().contiguous() for name, tensor in tensors.items()}, out / "objectives.safetensors")


if __name__ == "__main__":
    main()
