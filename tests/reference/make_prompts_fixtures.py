#!/usr/bin/env python3
"""Fixtures of prompts in AUTOMATIC1111's syntax: runs that are assembled by hand from transformers, diffusers and torch.

  python make_prompts_fixtures.py

What a prompt means is written down here for every case: its parts with their weights, the text of every step, and the chunks of every
text with the weights of their words. From that, and from nothing else, the small sd1 draws. Its text encoder has embeddings whose mean
is 0, to which no weighted ones could be brought back: the bias of its last norm is made a quarter, here as in the test.

  prompts/cases.json               the prompts and the settings of every run
  prompts/expected.safetensors     NAME/latents: the final latents; NAME/embeddings: every ninth row of the first part at the last step
"""
import json
import os

import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
MODEL = os.path.join(FIXTURES, "models", "sd1")
OUT = os.path.join(FIXTURES, "prompts")
CHUNK = 75
SCALE = 7.5
BIAS = 0.25

# 63 tokens and a comma; 14 more do not fit: they follow the comma into the second chunk.
MANY = " ".join(["a red cat and a blue dog"] * 9) + ","
REST = "a horse with a crown and a balloon and a bow in white glasses"


def words(text, weight=1.0):
    return (text, weight)


def plain(text):
    """A text of one chunk without weights."""
    return [[words(text)]]


CAT, DOG = plain("a cat"), plain("a dog")
LONG = [[words(MANY)], [words(REST)]]
EMPTY = plain("")

# Every part: its weight, and its texts at the steps. The first of two texts is there for one step more than its number says.
RUNS = dict(
    weights=dict(
        prompt="a (red cat:1.5) and [a dog]", negative="(blue:0.5) bear",
        parts=[(1.0, [[[words("a "), words("red cat", 1.5), words(" and "), words("a dog", 1 / 1.1)]]] * 3)],
        negatives=[[[words("blue", 0.5), words(" bear")]]] * 3),
    chunks=dict(prompt=f"{MANY} {REST}", negative="blue", parts=[(1.0, [LONG] * 3)], negatives=[plain("blue")] * 3),
    padded=dict(prompt=f"{MANY} {REST}", negative="blue", parts=[(1.0, [LONG] * 3)], negatives=[plain("blue")] * 3, long_prompts="padded"),
    long_negative=dict(prompt="a cat", negative=f"{MANY} {REST}", parts=[(1.0, [CAT] * 3)], negatives=[LONG] * 3),
    breaks=dict(
        prompt="a (cat:1.4) BREAK [dog]", negative="", negatives=[EMPTY] * 3,
        parts=[(1.0, [[[words("a "), words("cat", 1.4)], [words("dog", 1 / 1.1)]]] * 3)]),
    composed=dict(prompt="a cat AND a dog :0.6 AND a red bear:-0.3", negative="blue", negatives=[plain("blue")] * 2,
                  parts=[(1.0, [CAT] * 2), (0.6, [DOG] * 2), (-0.3, [plain("a red bear")] * 2)]),
    composed_lengths=dict(prompt=f"a cat AND {MANY} {REST}", negative="", negatives=[EMPTY] * 2, parts=[(1.0, [CAT] * 2), (1.0, [LONG] * 2)]),
    weighted_alone=dict(prompt="a cat :0.8", negative="", negatives=[EMPTY] * 2, parts=[(0.8, [CAT] * 2)]),
    schedule=dict(prompt="a [cat:dog:2]", negative="[red:blue:0.5]", parts=[(1.0, [CAT] * 3 + [DOG] * 2)],
                  negatives=[plain("red")] * 3 + [plain("blue")] * 2),
    schedule_weights=dict(
        prompt="a [(cat:1.6):dog:1]", negative="", negatives=[EMPTY] * 4,
        parts=[(1.0, [[[words("a "), words("cat", 1.6)]]] * 2 + [DOG] * 2)], entries=[[(0, 1), (3, 1)]]),
    alternation=dict(prompt="a [cat|dog]", negative="", parts=[(1.0, [CAT, CAT, DOG, CAT, DOG])], negatives=[EMPTY] * 5),
    nested=dict(prompt="a [red [cat|dog]:bear:3]", negative="", negatives=[EMPTY] * 5,
                parts=[(1.0, [plain("a red cat"), plain("a red cat"), plain("a red dog"), plain("a red cat"), plain("a bear")])]),
    # Two evaluations a step: texts are counted by evaluations, of which the last step has one.
    second_order=dict(prompt="a [cat:dog:3]", negative="", scheduler="heun", negatives=[EMPTY] * 5,
                      parts=[(1.0, [CAT] * 4 + [DOG])], steps=3),
)


class Model:
    def __init__(self):
        self.tokenizer = CLIPTokenizer.from_pretrained(os.path.join(MODEL, "tokenizer"))
        self.text_encoder = CLIPTextModel.from_pretrained(os.path.join(MODEL, "text_encoder"), dtype=torch.float32).eval()
        with torch.no_grad():
            next(bias for name, bias in self.text_encoder.named_parameters() if name.endswith("final_layer_norm.bias")).fill_(BIAS)
        self.unet = UNet2DConditionModel.from_pretrained(os.path.join(MODEL, "unet"), torch_dtype=torch.float32).eval()

    def chunk(self, pieces):
        """The ids of a chunk and their weights."""
        ids, weights = [], []
        for text, weight in pieces:
            own = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            ids, weights = ids + own, weights + [weight] * len(own)
        assert len(ids) <= CHUNK, len(ids)
        end = self.tokenizer.eos_token_id
        padding = [end] * (CHUNK - len(ids))
        return [self.tokenizer.bos_token_id, *ids, *padding, end], [1.0, *weights, *[1.0] * len(padding), 1.0]

    def encode(self, texts):
        """The embeddings of the texts of a schedule: chunk by chunk, each batch brought back to its mean."""
        states = []
        for index in range(max(map(len, texts))):
            chunks = [self.chunk(text[index] if index < len(text) else []) for text in texts]
            state = self.text_encoder(torch.tensor([ids for ids, _ in chunks])).last_hidden_state
            weighted = state * torch.tensor([weights for _, weights in chunks])[..., None]
            states.append(weighted * (state.mean() / weighted.mean()))
        return torch.cat(states, dim=1)

    def steps_of(self, texts, entries=None):
        """The embeddings of every step. The batch has the entries of the schedule: (step, how often)."""
        if entries is None:
            distinct = []
            for text in texts:
                if text not in distinct:
                    distinct.append(text)
            entries = [(texts.index(text), 1) for text in distinct]
        batch = [texts[step] for step, count in entries for _ in range(count)]
        encoded = self.encode(batch)
        return [encoded[batch.index(text)][None] for text in texts]


def longest(conditions):
    """Conditions of one length: the shorter ones repeat their last vector."""
    length = max(condition.shape[1] for condition in conditions)
    return [torch.cat([c, c[:, -1:].repeat(1, length - c.shape[1], 1)], dim=1) for c in conditions]


@torch.no_grad()
def run(model, case, seed):
    steps = case.get("steps", len(case["negatives"]))
    entries = case.get("entries", [None] * len(case["parts"]))
    parts = [(weight, model.steps_of(texts, own)) for (weight, texts), own in zip(case["parts"], entries)]
    negatives = model.steps_of(case["negatives"])
    if case.get("scheduler") == "heun":
        scheduler = HeunDiscreteScheduler.from_pretrained(MODEL, subfolder="scheduler")
    else:
        scheduler = DDIMScheduler.from_pretrained(MODEL, subfolder="scheduler", clip_sample=False)
    scheduler.set_timesteps(steps)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(seed)) * scheduler.init_noise_sigma
    assert len(scheduler.timesteps) == len(case["negatives"])
    for step, timestep in enumerate(scheduler.timesteps):
        sample = scheduler.scale_model_input(latents, timestep)
        conditions = longest([states[step] for _, states in parts])
        negative = negatives[step]
        if case.get("long_prompts") == "padded":
            missing = (conditions[0].shape[1] - negative.shape[1]) // (CHUNK + 2)
            negative = torch.cat([negative] + [model.encode([EMPTY])] * missing, dim=1)
        without = model.unet(sample, timestep, negative).sample
        noise = without
        for (weight, _), condition in zip(parts, conditions):
            noise = noise + weight * SCALE * (model.unet(sample, timestep, condition).sample - without)
        latents = scheduler.step(noise, timestep, latents).prev_sample
    return latents, parts[0][1][-1][0, ::9]


def main():
    model = Model()
    cases, tensors = [], {}
    for seed, (name, case) in enumerate(RUNS.items()):
        latents, embeddings = run(model, case, seed)
        tensors[f"{name}/latents"], tensors[f"{name}/embeddings"] = latents.contiguous(), embeddings.contiguous()
        steps = case.get("steps", len(case["negatives"]))
        cases.append(dict(name=name, prompt=case["prompt"], negative_prompt=case["negative"], seed=seed, steps=steps, guidance_scale=SCALE,
                          scheduler=case.get("scheduler", "ddim"), long_prompts=case.get("long_prompts")))
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "cases.json"), "w") as file:
        json.dump(cases, file, indent=1)
    save_file(tensors, os.path.join(OUT, "expected.safetensors"))


if __name__ == "__main__":
    main()
