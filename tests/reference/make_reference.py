#!/usr/bin/env python3
"""Reference numbers for Attend-and-Excite from Hugging Face diffusers.

Runs diffusers' `StableDiffusionAttendAndExcitePipeline` on the CPU in float32, on a small pipeline
with seeded random weights (`build`) or on an existing folder, and writes what every stage produced,
so that another implementation can be compared stage by stage and run by run.

A case is written as

  CASE/stages.safetensors      of guided cases
    input_ids [2,77]           negative prompt, prompt
    text_embeddings [2,77,C]   negative prompt, prompt (last hidden state after the final layer norm)
    initial_latents [1,4,h,w]  torch.Generator("cpu").manual_seed(seed), times init_noise_sigma
    timesteps [n]              of the scheduler
    noise_prediction [2,4,h,w] U-Net output for initial_latents at timesteps[0], CFG batch
    attention_maps [r,c,77]    mean over heads and layers, conditional pass, initial_latents
    subject_maps [k,r,c]       after dropping tokens, scaling, softmax, reflect pad, Gaussian 3x3
    subject_max [k]            their maxima
    loss [1], gradient [1,4,h,w]  of the loss by the initial latents
    final_latents [1,4,h,w]    of the whole guided run (only with keep_image)
    image [1,3,H,W]            in [0,1] before quantisation (only with keep_image)
    encoded_mean, encoded_std [1,4,h,w]  of the VAE's encoder on that image (only with keep_image)
  CASE/case.json               the arguments, the attention resolution, and per denoising step its
                               timestep and each loss the run saw in it
  CASE/image.png, CASE/plain.png
"""
import json
import os

import torch
from safetensors.torch import save_file

import diffusers
from diffusers import StableDiffusionAttendAndExcitePipeline as AttendAndExcite, StableDiffusionPipeline
from diffusers.pipelines.deprecated.stable_diffusion_attend_and_excite import (
    pipeline_stable_diffusion_attend_and_excite as module,
)

WORDS = (
    "a an and with the of in on painting photo cat dog bird bear lion horse elephant monkey frog turtle rabbit mouse "
    "backpack glasses crown suitcase chair balloon bow car bowl bench clock apple "
    "red orange yellow green blue purple pink brown gray black white"
).split()


def build_tokenizer(path):
    """A CLIP-style byte-level BPE: each word of the benchmark is one token."""
    os.makedirs(path, exist_ok=True)
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    chars = [chr(c) for c in printable] + [chr(256 + n) for n in range(len(others))]
    vocab = chars + [c + "</w>" for c in chars]
    have, merges = set(vocab), []
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            a, b = parts[-2], parts[-1]
            if (a, b) not in merges:
                merges.append((a, b))
            parts[-2:] = [a + b]
            if a + b not in have:
                have.add(a + b)
                vocab.append(a + b)
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    with open(f"{path}/vocab.json", "w") as f:
        json.dump({t: i for i, t in enumerate(vocab)}, f, ensure_ascii=False)
    with open(f"{path}/merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    with open(f"{path}/tokenizer_config.json", "w") as f:
        json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
                   "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, f)
    return len(vocab)


def build(path, variant, seed=0, sample_size=32):
    """A small pipeline of the given family ("sd1" or "sd2") with seeded weights, stored in float16; "distilled" is an sd1 whose U-Net
    lacks what those of BK-SDM lack: the middle, the coarsest level, and every second layer.

    Rounding the weights to float16 keeps the committed folder small; both sides load it as float32.
    """
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    vocab = build_tokenizer(f"{path}/tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(f"{path}/tokenizer")
    torch.manual_seed(seed)
    sd2 = variant == "sd2"
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=vocab, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        max_position_embeddings=77, hidden_act="gelu" if sd2 else "quick_gelu", projection_dim=32,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))
    levels = dict(
        block_out_channels=(16, 32, 32, 48), layers_per_block=2, down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3)
    if variant == "distilled":
        levels = dict(
            block_out_channels=(16, 32, 32), layers_per_block=1, down_block_types=("CrossAttnDownBlock2D",) * 3, mid_block_type=None,
            up_block_types=("CrossAttnUpBlock2D",) * 3)
    unet = diffusers.UNet2DConditionModel(
        sample_size=sample_size, in_channels=4, out_channels=4, **levels, cross_attention_dim=32, norm_num_groups=8, use_linear_projection=sd2,
        attention_head_dim=(2, 4, 4, 6) if sd2 else 4)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16, 16, 16), norm_num_groups=4, layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=8 * sample_size)
    common = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, steps_offset=1)
    if sd2:
        scheduler = diffusers.DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction")
    else:
        scheduler = diffusers.PNDMScheduler(**common, skip_prk_steps=True, set_alpha_to_one=False)
    # Random weights give near-uniform attention; sharpen the queries and keys so that the maps have structure.
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2.to_q" in name or "attn2.to_k" in name:
                parameter.mul_(4.0)
    pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
                                   safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.to(torch.float16).save_pretrained(path)


def max_attention(scale):
    """diffusers' `_compute_max_attention_per_index` with its factor 100 as a parameter; returns the maps too."""
    def compute(attention_maps, indices):
        probs = torch.softmax(attention_maps[:, :, 1:-1] * scale, dim=-1)
        maps = [module.GaussianSmoothing()(torch.nn.functional.pad(probs[:, :, i - 1][None, None], (1, 1, 1, 1), mode="reflect"))[0, 0]
                for i in indices]
        return maps
    return compute


def scheduler_like(scheduler, name):
    """A scheduler of another class with the same config, and what the folder of another class does not say.

    Stable Diffusion's PNDM skips the Runge-Kutta steps, and StableDiffusionPipeline (though not the one for
    Attend-and-Excite) switches the clipping of samples off.
    """
    options = dict(PNDMScheduler=dict(skip_prk_steps=True), DDIMScheduler=dict(clip_sample=False))
    return getattr(diffusers, name).from_config(scheduler.config, **options.get(name, {}))


def guidance(pipe, latents, timestep, embeddings, resolution, tokens, attention_scale=100.0):
    """One guidance pass, with everything in between."""
    pipe.attention_store = module.AttentionStore(resolution)
    original = pipe.unet.attn_processors
    pipe.register_attention_control()
    latents = latents.clone().requires_grad_(True)
    pipe.unet(pipe.scheduler.scale_model_input(latents, timestep), timestep, encoder_hidden_states=embeddings)
    attention = pipe.attention_store.aggregate_attention(("up", "down", "mid"))
    smooth = max_attention(attention_scale)(attention, tokens)
    maxima = torch.stack([m.max() for m in smooth])
    loss = max(torch.clamp(1 - m, min=0) for m in maxima)
    gradient = torch.autograd.grad(loss, [latents])[0]
    pipe.unet.set_attn_processor(original)
    stages = dict(attention_maps=attention, subject_maps=torch.stack(smooth), subject_max=maxima, loss=loss.reshape(1), gradient=gradient)
    return {name: stage.detach() for name, stage in stages.items()}


def run(out, model, prompt="a cat and a dog", negative_prompt="", tokens=(2, 5), seed=42, steps=10, guidance_scale=7.5,
        height=None, width=None, attn_res=None, max_iter_to_alter=5, scale_factor=20.0, attention_scale=100.0,
        thresholds={0: 0.05, 2: 0.5, 4: 0.8}, scheduler=None, keep_image=False, guided=True):
    arguments = {k: v for k, v in locals().items() if k not in ("out", "model", "keep_image")}
    os.makedirs(out, exist_ok=True)
    pipe = AttendAndExcite.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
    if scheduler:
        pipe.scheduler = scheduler_like(pipe.scheduler, scheduler)
    factor = pipe.vae_scale_factor
    height = height or pipe.unet.config.sample_size * factor
    width = width or pipe.unet.config.sample_size * factor
    resolution = tuple(attn_res) if attn_res else (height // factor // 4, width // factor // 4)
    tokens = list(tokens)
    stages = {}
    ids = [pipe.tokenizer(p, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
           for p in (negative_prompt, prompt)]
    stages["input_ids"] = torch.cat(ids)
    with torch.no_grad():
        stages["text_embeddings"] = torch.cat([pipe.text_encoder(i)[0] for i in ids])
    pipe.scheduler.set_timesteps(steps)
    timesteps = pipe.scheduler.timesteps
    stages["timesteps"] = timesteps.float()
    generator = torch.Generator("cpu").manual_seed(seed)
    z = torch.randn((1, 4, height // factor, width // factor), generator=generator) * pipe.scheduler.init_noise_sigma
    stages["initial_latents"] = z
    with torch.no_grad():
        x = pipe.scheduler.scale_model_input(torch.cat([z] * 2), timesteps[0])
        stages["noise_prediction"] = pipe.unet(x, timesteps[0], encoder_hidden_states=stages["text_embeddings"]).sample

    # Unlike the reference the latents are scaled to the model's input, which is the identity for the schedulers of
    # guided cases.
    pipe.scheduler.set_timesteps(steps)
    stages.update(guidance(pipe, z, timesteps[0], stages["text_embeddings"][1:], resolution, tokens, attention_scale))
    loss, gradient = stages["loss"], stages["gradient"]
    pipe.scheduler.set_timesteps(steps)

    # The whole run, recording each loss. A new step begins with the first single-image pass after a CFG pass.
    records = []
    unet_forward, compute_loss = pipe.unet.forward, AttendAndExcite._compute_loss
    state = {"new": True}

    def forward(sample, timestep, *args, **kwargs):
        if sample.shape[0] == 2:
            state["new"] = True
        elif state["new"]:
            records.append({"timestep": float(timestep), "losses": []})
            state["new"] = False
        return unet_forward(sample, timestep, *args, **kwargs)

    def record(max_attention_per_index):
        value = compute_loss(max_attention_per_index)
        records[-1]["losses"].append(value.item() if torch.is_tensor(value) else float(value))
        return value

    pipe.set_progress_bar_config(disable=True)
    common = dict(prompt=prompt, negative_prompt=negative_prompt, height=height, width=width, num_inference_steps=steps,
                  guidance_scale=guidance_scale)

    def decode(latents):
        with torch.no_grad():
            return (pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)

    def save(image, name):
        pipe.image_processor.numpy_to_pil(image.permute(0, 2, 3, 1).numpy())[0].save(f"{out}/{name}", optimize=True)

    if guided:
        pipe.unet.forward, pipe._compute_loss = forward, record
        maps = max_attention(attention_scale)
        pipe._compute_max_attention_per_index = lambda attention_maps, indices: [m.max() for m in maps(attention_maps, indices)]
        latents = pipe(**common, token_indices=tokens, max_iter_to_alter=max_iter_to_alter, thresholds=thresholds,
                       scale_factor=scale_factor, attn_res=resolution, generator=torch.Generator("cpu").manual_seed(seed),
                       output_type="latent").images
        pipe.unet.forward = unet_forward
        image = decode(latents)
        if keep_image:
            stages["final_latents"], stages["image"] = latents, image
            with torch.no_grad():
                distribution = pipe.vae.encode(image * 2 - 1).latent_dist
            stages["encoded_mean"], stages["encoded_std"] = distribution.mean, distribution.std
        save(image, "image.png")
    plain = StableDiffusionPipeline(**{**pipe.components, "safety_checker": None}, requires_safety_checker=False)
    plain.set_progress_bar_config(disable=True)
    latents = plain(**common, generator=torch.Generator("cpu").manual_seed(seed), output_type="latent").images
    save(decode(latents), "plain.png")

    if guided:
        save_file({k: v.detach().contiguous() for k, v in stages.items()}, f"{out}/stages.safetensors")
    with open(f"{out}/case.json", "w") as f:
        json.dump({"arguments": arguments, "attention_resolution": resolution, "steps": records}, f, indent=1)
    counts = [len(r["losses"]) for r in records]
    print(out, "loss", round(loss.item(), 5), "gradient", round(gradient.norm().item(), 5), "losses per step", counts, flush=True)
