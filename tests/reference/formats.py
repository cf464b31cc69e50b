"""Writes a pipeline in the formats its weights come in, and what diffusers computes from it.

The fixtures of `make_formats_fixtures.py` (small models, committed) and `make_full.py` (models of the real size) share
one description, formats.json:

  families   by name: attention_resolution, tokens (positions of the guided subjects), attention_scale, prediction_type
             and config, the fields of the configs of unet, vae and text_encoder that follow from the weights' shapes
  variants   name, path, family, layout (diffusers, compvis or stability), dtype of the stored weights (one, or one per
             component), components that are there, variant (the infix of the file names, or null), expected (path)

Paths are relative to formats.json. An expected file has, in float32 unless said otherwise:

  input_ids [2,77]            int64, negative prompt and prompt
  text_embeddings [2,77,C]    last hidden state after the final layer norm
  latents [1,4,h,w], timestep [1]
  noise_prediction [2,4,h,w]  of the U-Net for the latents twice and both text embeddings; v for a model that predicts v
  attention_maps [r,c,77], subject_maps [k,r,c], subject_max [k], loss [1], gradient [1,4,h,w]
                              of one guidance pass with the prompt's embedding, as in make_reference.py
  vae_latents [1,4,h,w]       image [1,3,8h,8w] is vae.decode(vae_latents / scaling_factor), not clamped
  encoded_mean, encoded_std [1,4,h,w]   of the VAE's encoder on that image clamped to [-1,1], not scaled
"""
import json
import os

import torch
from diffusers import AutoencoderKL, StableDiffusionAttendAndExcitePipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

import compvis
import make_reference as reference

CLASSES = dict(text_encoder=CLIPTextModel, unet=UNet2DConditionModel, vae=AutoencoderKL)
FIELDS = dict(
    unet=("block_out_channels", "layers_per_block", "cross_attention_dim", "attention_head_dim", "use_linear_projection", "in_channels"),
    vae=("block_out_channels", "layers_per_block", "latent_channels", "scaling_factor"),
    text_encoder=("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act"))
TOKENS = [2, 5]
DTYPES = dict(f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16)


def describe(pipe, latent_size):
    """A family's entry in formats.json."""
    config = {name: {field: getattr(getattr(pipe, name).config, field) for field in fields} for name, fields in FIELDS.items()}
    return dict(attention_resolution=[latent_size // 4] * 2, tokens=TOKENS, attention_scale=100.0,
                prediction_type=pipe.scheduler.config.prediction_type, config=config)


def token_ids(text_encoder):
    """An empty prompt and one of ten words, between the two special tokens at the end of the vocabulary."""
    end = text_encoder.config.vocab_size - 1
    words = torch.randint(end - 1, (10,), generator=torch.Generator("cpu").manual_seed(1))
    ids = torch.full((2, 77), 0 if text_encoder.config.hidden_act == "gelu" else end)
    ids[:, 0], ids[0, 1], ids[1, 1:11], ids[1, 11] = end - 1, end, words, end
    return ids


@torch.no_grad()
def expected(pipe, latent_size, vae_size, path):
    """Computes in float32 and saves what every variant with the pipeline's weights must give."""
    generator = torch.Generator("cpu").manual_seed(2)
    values = dict(input_ids=token_ids(pipe.text_encoder), timestep=torch.tensor([501.0]),
                  latents=torch.randn(1, 4, latent_size, latent_size, generator=generator),
                  vae_latents=torch.randn(1, 4, vae_size, vae_size, generator=generator))
    latents, timestep = values["latents"], values["timestep"]
    embeddings = values["text_embeddings"] = pipe.text_encoder(values["input_ids"])[0]
    values["noise_prediction"] = pipe.unet(torch.cat([latents] * 2), timestep, encoder_hidden_states=embeddings).sample
    components = {name: component for name, component in pipe.components.items() if name != "image_encoder"}
    guided = StableDiffusionAttendAndExcitePipeline(**components, requires_safety_checker=False)
    pipe.unet.requires_grad_(False)
    with torch.enable_grad():
        values.update(reference.guidance(guided, latents, timestep, embeddings[1:], (latent_size // 4,) * 2, TOKENS))
    image = values["image"] = pipe.vae.decode(values["vae_latents"] / pipe.vae.config.scaling_factor).sample
    encoded = pipe.vae.encode(image.clamp(-1, 1)).latent_dist
    values["encoded_mean"], values["encoded_std"] = encoded.mean, encoded.std
    assert all(value.isfinite().all() for value in values.values())
    spread = {name: f"{value.std().item():.3g}" for name, value in values.items() if value.is_floating_point() and value.numel() > 1}
    print(path, "loss", round(values["loss"].item(), 5), "standard deviations", spread, flush=True)
    save_file({name: value.contiguous() for name, value in values.items()}, path)


def save_bin(pipe, path, legacy=False):
    """Text encoder and VAE as pickles, with the key names of their time."""
    text = {"text_model." + key: tensor for key, tensor in pipe.text_encoder.state_dict().items()}
    text["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    vae = {}
    for key, tensor in pipe.vae.state_dict().items():
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        vae[key] = tensor
    pipe.text_encoder.config.save_pretrained(f"{path}/text_encoder")
    pipe.vae.save_config(f"{path}/vae")
    zipped = dict(_use_new_zipfile_serialization=not legacy)
    torch.save(text, f"{path}/text_encoder/pytorch_model.bin", **zipped)
    torch.save(vae, f"{path}/vae/diffusion_pytorch_model.bin", **zipped)


def with_means(state, value=lambda tensor: -tensor):
    """The single file's tensors and wrong running means of the U-Net's biases."""
    return {**state, **compvis.ema({name: tensor for name, tensor in state.items() if name.endswith("bias")}, value)}


def save_single(state, path):
    save_file({name: tensor.contiguous() for name, tensor in with_means(state).items()}, path, metadata={"format": "pt"})


def check_folder(path, pipe, components, **options):
    """That diffusers and transformers read the same tensors from the folder."""
    for name in components:
        read = CLASSES[name].from_pretrained(f"{path}/{name}", torch_dtype=pipe.dtype, local_files_only=True, **options).state_dict()
        state = getattr(pipe, name).state_dict()
        assert read.keys() == state.keys(), (path, name)
        assert all(torch.equal(read[key], tensor) for key, tensor in state.items()), (path, name)
