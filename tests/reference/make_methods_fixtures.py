#!/usr/bin/env python3
"""Writes tests/fixtures/methods: whole runs of the methods after Attend-and-Excite, with the losses of make_objectives_fixtures.py on the
modules of diffusers, in single precision.

A guided step: one conditional pass, whose attention probabilities are averaged over heads and layers of one resolution; refinement where
the thresholds have the step (Attend-and-Excite's loop: the loss is looked at before an update); the latent update; then the noise
prediction of classifier-free guidance.

  CASE/expected.safetensors   losses [n], every loss of the run in its order; final_latents [1,4,h,w]
  CASE/case.json              model, and settings as the program takes them
  CASE/picture.png            of the embedded model; those of random weights are noise
"""
import json
import math
import os

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file

import make_objectives_fixtures as objectives

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
SPRITES = os.path.join(HERE, "..", "..", "assets", "sprites")

COLOURS = "a red car and a white bench"  # <sot> a red car and a white bench
PHRASES = [([3], [[2]]), ([7], [[6]])]
THINGS = "a cat and a dog"
LION = "a lion and a red car"


def plan(steps, scale, range=(1, 1), thresholds=None, **others):
    return dict(max_iter_to_alter=steps, scale_factor=scale, scale_range=list(range), thresholds=thresholds or {}, **others)


CASES = {
    "syngen": dict(model="sd1", method="syngen", prompt=COLOURS, seed=3, guidance=plan(4, 20)),
    "syngen-sprites": dict(model="sprites", method="syngen", prompt=LION, seed=7, steps=20, guidance_scale=5.0, guidance=plan(10, 2)),
    "ebama-portrait": dict(model="sd2", method="ebama", prompt=COLOURS, seed=5, height=320, width=192, guidance=plan(3, 20)),
    "self-cross": dict(model="sd1", method="self-cross", prompt=THINGS, seed=8, overlap_gate=2.0,
                       guidance=plan(4, 20, (1, 0.5), {"1": 0.8, "3": 0.9}, max_refinement_steps=2)),
    "conform": dict(model="sd1", method="conform", prompt=COLOURS, seed=1, scheduler="DDIMScheduler",
                    guidance=plan(5, 20, (1, 0.5), {"0": 1, "3": 1}, max_refinement_steps=2)),
    "conform-things": dict(model="sd2", method="conform", prompt=THINGS, seed=2, guidance=plan(4, 20, (1, 0.5))),
    "boxdiff-landscape": dict(model="sd1", method="boxdiff", prompt=THINGS, seed=4, height=192, width=320,
                              boxes=["cat:0,0.1,0.5,0.9", "dog:0.6,0.3,1,0.7"],
                              guidance=plan(4, 20, (1, 0.5), {"2": 0.9}, max_refinement_steps=3)),
    "divide-and-bind": dict(model="sd1", method="divide-and-bind", prompt=COLOURS, seed=6, guidance=plan(4, 20, (1, 0.5))),
    "divide-and-bind-published": dict(model="sd2", method="divide-and-bind", prompt=COLOURS, seed=9, as_published=True,
                                      guidance=plan(4, 20, (1, 0.5))),
    "predicated": dict(model="sd1", method="predicated", prompt=COLOURS, seed=10, guidance=plan(4, 2, (1, 0.5))),
    "predicated-sprites": dict(model="sprites", method="predicated", prompt=LION, seed=7, steps=20, guidance_scale=5.0,
                               guidance=plan(10, 0.5, (1, 0.5))),
}


class Recorded(AttnProcessor):
    """Attention that keeps the probabilities of the passes with one image."""

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (attn.head_to_batch_dim(project(x)) for project, x in
                             ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context)))
        probabilities = attn.get_attention_scores(query, key)
        if len(hidden_states) == 1:
            self.kept.append((encoder_hidden_states is not None, probabilities))
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(torch.bmm(probabilities, value))))


def losses(case, tokens, kept, resolution, step, count, state):
    """The loss of an update and that of a refinement, what the most neglected subject lacks, and the overlap."""
    rows, cols = resolution
    objectives.ROWS, objectives.COLS = rows, cols
    objectives.EPS = torch.finfo(torch.float32).eps

    def mean(cross, size):
        layers = [p.mean(0) for is_cross, p in kept if is_cross == cross and p.shape[1] == size[0] * size[1]]
        return torch.stack(layers).mean(0)

    maps = mean(True, resolution).T.reshape(-1, rows, cols).double()
    method, prompt = case["method"], case["prompt"]
    phrases = PHRASES if prompt == COLOURS else [([2], []), ([6], [[5]])] if prompt == LION else [([2], []), ([5], [])]
    nouns = [noun for noun, _ in phrases]
    if method in ("syngen", "ebama"):
        named = {position for noun, modifiers in phrases for word in [noun, *modifiers] for position in word}
        outside = [position for position in range(1, tokens + 1) if position not in named]
        if method == "syngen":
            return objectives.binding(maps, phrases, outside, objectives.symmetric_kl, both=True)
        return objectives.binding(maps, phrases, outside, objectives.cosine, both=False, intensity=0.5)
    if method == "conform":
        groups = [[position for word in [*modifiers, noun] for position in word] for noun, modifiers in phrases]
        return objectives.conform(maps, groups, 0.5, False, state)
    if method == "boxdiff":
        sides = [tuple(map(float, box.split(":")[1].split(","))) for box in case["boxes"]]
        return objectives.boxdiff(maps, nouns, sides)
    if method == "self-cross":
        among = mean(False, resolution).double()
        update, refinement = objectives.regions(maps, among, nouns, 16, "regions", case["overlap_gate"], (1, 0.1, 0.0), (1, 0.1, 0.1), state)
        shown = objectives.smooth(objectives.words(objectives.shares(maps), nouns))
        neglect = max((1 - map.flatten().topk(16).values.mean()).clamp_min(0) for map in shown)
        return update, refinement, neglect
    if method == "divide-and-bind":
        sizes = sorted({p.shape[1] for is_cross, p in kept if is_cross and p.shape[1] > rows * cols})
        factors = [math.isqrt(size // (rows * cols)) for size in sizes]
        layers = [p.transpose(1, 2).reshape(len(p), -1, rows * f, cols * f) for f in factors for is_cross, p in kept
                  if is_cross and p.shape[1] == rows * cols * f * f]
        # Over all heads alike: finer layers have fewer.
        larger = torch.cat([F.interpolate(layer, (rows, cols), mode="nearest") for layer in layers]).mean(0).double()
        attributes = [(index, word) for index, (_, modifiers) in enumerate(phrases) for word in modifiers]
        share = step * 50 // count
        weight = 1.0 if share < 10 else 5.0 if share < 20 else 10.0
        return objectives.divide_and_bind(maps, larger, nouns, attributes, case.get("as_published", False), weight)
    if method == "predicated":
        return objectives.predicated(objectives.smooth(objectives.shares(maps)), phrases, 0.3)
    raise ValueError(method)


def run(path, case):
    case = dict(dict(steps=10, guidance_scale=7.5, height=256, width=256, scheduler=None), **case)
    folder = SPRITES if case["model"] == "sprites" else os.path.join(FIXTURES, "models", case["model"])
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
    if case["scheduler"]:
        import make_reference
        pipe.scheduler = make_reference.scheduler_like(pipe.scheduler, case["scheduler"])
    defaults = {"attention_reduction": 4, "attention_scale": 100.0}
    if case["model"] == "sprites":
        with open(os.path.join(SPRITES, "attend_and_excite.json")) as f:
            defaults = json.load(f)
    scale = pipe.vae_scale_factor
    if case["model"] == "sprites":
        case["height"] = case["width"] = pipe.unet.config.sample_size * scale
    size = (case["height"] // scale, case["width"] // scale)
    resolution = tuple(side // defaults["attention_reduction"] for side in size)
    ids = [pipe.tokenizer(text, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids for text in ("", case["prompt"])]
    with torch.no_grad():
        embeddings = torch.cat([pipe.text_encoder(i)[0] for i in ids])
    tokens = len(pipe.tokenizer(case["prompt"]).input_ids) - 2
    objectives.SCALE = defaults["attention_scale"]
    objectives.WINDOW = range(1, tokens + 1 if case["model"] == "sd2" else 76)

    pipe.scheduler.set_timesteps(case["steps"])
    timesteps = pipe.scheduler.timesteps
    own = case["guidance"]
    sizes = [own["scale_factor"] * math.sqrt(r) for r in torch.linspace(*own["scale_range"], len(timesteps)).tolist()]
    kept, state, seen = [], {}, []
    recorded = Recorded(kept)
    pipe.unet.set_attn_processor({name: recorded for name in pipe.unet.attn_processors})
    latents = torch.randn((1, 4, *size), generator=torch.Generator("cpu").manual_seed(case["seed"])) * pipe.scheduler.init_noise_sigma
    exactly = case["method"] == "conform"
    for index, t in enumerate(timesteps):
        scaled = lambda z: pipe.scheduler.scale_model_input(z, t)

        def evaluate(z, before):
            """Loss, refinement loss, what decides a refinement; the leaf of their gradients."""
            z = z.detach().requires_grad_()
            kept.clear()
            pipe.unet(scaled(z), t, encoder_hidden_states=embeddings[1:])
            # CONFORM compares with the step before, whatever was evaluated in this one.
            if before is None:
                state.pop("maps", None)
            else:
                state["maps"] = before
            found = losses(case, tokens, kept, resolution, index, len(timesteps), state)
            update, refinement = found[:2] if isinstance(found, tuple) else (found, found)
            neglect = found[2] if isinstance(found, tuple) and len(found) > 2 else refinement
            seen.append(float(update))
            return z, update, refinement, float(neglect)

        if index < own["max_iter_to_alter"] or str(index) in own["thresholds"]:
            before = state.get("maps")
            z, loss, refinement, neglect = evaluate(latents, before)
            updates = 0
            wanted = own["thresholds"].get(str(index))
            while wanted is not None and updates < own["max_refinement_steps"] and (exactly or neglect > 1 - wanted):
                if updates > 0:
                    z, loss, refinement, neglect = evaluate(latents, before)
                (gradient,) = torch.autograd.grad(refinement, z, retain_graph=True, allow_unused=True)
                if gradient is not None:
                    latents = latents - sizes[index] * gradient
                updates += 1
            if updates > 0:
                z, loss, refinement, neglect = evaluate(latents, before)
            if index < own["max_iter_to_alter"]:
                (gradient,) = torch.autograd.grad(loss, z, allow_unused=True)
                if gradient is not None:
                    latents = latents - sizes[index] * gradient
        with torch.no_grad():
            base, conditional = pipe.unet(scaled(torch.cat([latents] * 2)), t, encoder_hidden_states=embeddings).sample.chunk(2)
            latents = pipe.scheduler.step(base + case["guidance_scale"] * (conditional - base), t, latents).prev_sample

    os.makedirs(path, exist_ok=True)
    save_file(dict(losses=torch.tensor(seen), final_latents=latents.contiguous()), os.path.join(path, "expected.safetensors"))
    if case["model"] == "sprites":
        with torch.no_grad():
            decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        pipe.image_processor.postprocess(decoded, output_type="pil")[0].save(os.path.join(path, "picture.png"))
    settings = {name: case[name] for name in ("method", "prompt", "seed", "steps", "guidance_scale", "height", "width")}
    settings |= {name: case[name] for name in ("boxes", "as_published", "overlap_gate") if name in case}
    settings["scheduler"] = {"DDIMScheduler": "ddim", None: None}[case["scheduler"]]
    settings["attend_and_excite"] = own
    with open(os.path.join(path, "case.json"), "w") as f:
        json.dump(dict(model=case["model"], settings=settings), f, indent=1)
    print(os.path.basename(path), [round(loss, 4) for loss in seen], flush=True)


if __name__ == "__main__":
    for name, case in CASES.items():
        run(os.path.join(FIXTURES, "methods", name), case)
