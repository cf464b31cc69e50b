#!/usr/bin/env python3
"""Writes tests/fixtures/baselines: StructureDiffusion and Composable Diffusion by their definitions.

StructureDiffusion (Feng et al. 2022, section 3): every noun phrase is encoded alone and its token rows are written over a copy of
the prompt's embedding at the phrase's place. In each cross-attention layer, in the conditional half, keys come from the
prompt's embedding, and the output is the mean of the same probabilities times the values of the prompt's embedding and of each copy.
Here every layer does just that, one product per copy.

Composable Diffusion (Liu et al. 2022, equation 11): the prediction is e_0 + sum_i w_i (e_i - e_0), one pass per sub-prompt, as in
diffusers' community pipeline `composable_stable_diffusion.py`, with w_i the guidance scale times the sub-prompt's weight.

  CASE/expected.safetensors   noise_prediction [1,4,h,w] of the first step, final_latents [1,4,h,w]
  CASE/case.json
  CASE/picture.png            of the embedded model; those of random weights are noise
"""
import json
import os

import torch
from diffusers import StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import save_file

import make_reference as reference

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "fixtures")
SPRITES = os.path.join(HERE, "..", "..", "assets", "sprites")

CASES = {
    "structure-sd1": dict(model="sd1", phrases=["a red car", "a white bench"], prompt="a red car and a white bench", seed=3),
    "structure-sd2-portrait": dict(model="sd2", phrases=["a bird", "a yellow backpack"], prompt="a bird with a yellow backpack", seed=5,
                                   height=320, width=192),
    "structure-three": dict(model="sd1", phrases=["a cat", "a dog", "a blue balloon"], prompt="a cat, a dog and a blue balloon", seed=1,
                            negative_prompt="a photo of a mouse", guidance_scale=4.0, scheduler="DDIMScheduler"),
    "structure-sprites": dict(model="sprites", phrases=["a lion", "a red car"], prompt="a lion and a red car", seed=7,
                              guidance_scale=5.0, steps=50),
    "composable-sd1": dict(model="sd1", parts=["a cat", "a dog"], prompt="a cat and a dog", seed=42),
    "composable-sd2-weights": dict(model="sd2", parts=["a cat and a hat", "a dog", "a red car"], weights=[1.0, 0.5, -0.3],
                                   prompt="a cat and a hat AND a dog :0.5 | a red car :-0.3", seed=8, negative_prompt="a mouse"),
    "composable-sprites": dict(model="sprites", parts=["a lion", "a red car"], prompt="a lion and a red car", seed=7,
                               guidance_scale=5.0, steps=50),
}


class StructuredAttention(AttnProcessor):
    """Cross-attention whose conditional half finds the mean of what the prompt and each copy of it say."""

    def __init__(self, copies):
        super().__init__()
        self.copies = copies

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        probabilities = attn.get_attention_scores(query, key)
        unconditional, prompt = encoder_hidden_states.chunk(2)
        outputs = []
        for copy in [prompt, *self.copies]:
            value = attn.head_to_batch_dim(attn.to_v(torch.cat([unconditional, copy])))
            outputs.append(attn.batch_to_head_dim(torch.bmm(probabilities, value)))
        return attn.to_out[1](attn.to_out[0](torch.stack(outputs).mean(0)))


def encode(pipe, text):
    ids = pipe.tokenizer(text, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    return pipe.text_encoder(ids)[0]


def copies(pipe, prompt, phrases):
    """Copies of the prompt's embedding, each with one phrase's rows in its place."""
    tokens = lambda text: pipe.tokenizer(text).input_ids[1:-1]
    embedding, sentence = encode(pipe, prompt), tokens(prompt)
    for phrase in phrases:
        words = tokens(phrase)
        start = next(i for i in range(len(sentence)) if sentence[i:i + len(words)] == words)
        copy = embedding.clone()
        copy[:, start + 1:start + 1 + len(words)] = encode(pipe, phrase)[:, 1:1 + len(words)]
        yield copy


@torch.no_grad()
def run(path, model, prompt, seed, phrases=None, parts=None, weights=None, negative_prompt="", guidance_scale=7.5, steps=10, height=None,
        width=None, scheduler=None):
    folder = SPRITES if model == "sprites" else os.path.join(FIXTURES, "models", model)
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, safety_checker=None)
    if scheduler:
        pipe.scheduler = reference.scheduler_like(pipe.scheduler, scheduler)
    height, width = height or pipe.unet.config.sample_size * pipe.vae_scale_factor, width or pipe.unet.config.sample_size * pipe.vae_scale_factor
    texts = parts or [prompt]
    scales = [guidance_scale * weight for weight in weights or [1.0] * len(texts)]
    if phrases:
        structured = StructuredAttention(list(copies(pipe, prompt, phrases)))
        pipe.unet.set_attn_processor({name: structured if "attn2" in name else AttnProcessor() for name in pipe.unet.attn_processors})
    pipe.scheduler.set_timesteps(steps)
    shape = (1, 4, height // pipe.vae_scale_factor, width // pipe.vae_scale_factor)
    latents = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)) * pipe.scheduler.init_noise_sigma
    unconditional, first = encode(pipe, negative_prompt), None
    for t in pipe.scheduler.timesteps:
        scaled = pipe.scheduler.scale_model_input(latents, t)
        prediction = 0
        for text, scale in zip(texts, scales):
            both = torch.cat([unconditional, encode(pipe, text)])
            base, conditional = pipe.unet(torch.cat([scaled] * 2), t, encoder_hidden_states=both).sample.chunk(2)
            prediction = prediction + scale * (conditional - base)
        prediction = base + prediction
        first = prediction if first is None else first
        latents = pipe.scheduler.step(prediction, t, latents).prev_sample

    os.makedirs(path, exist_ok=True)
    save_file(dict(noise_prediction=first.contiguous(), final_latents=latents.contiguous()), os.path.join(path, "expected.safetensors"))
    if model == "sprites":
        decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        pipe.image_processor.postprocess(decoded, output_type="pil")[0].save(os.path.join(path, "picture.png"))
    case = dict(model=model, prompt=prompt, negative_prompt=negative_prompt, phrases=phrases, seed=seed, guidance_scale=guidance_scale,
                steps=steps, height=height, width=width, scheduler=scheduler)
    with open(os.path.join(path, "case.json"), "w") as f:
        json.dump(case, f, indent=1)
    print(path)


if __name__ == "__main__":
    for name, case in CASES.items():
        run(os.path.join(FIXTURES, "baselines", name), **case)
