"""Stable Diffusion in the key layout of the original repositories, in one file.

`state_dict` turns the networks of a diffusers pipeline into the layout of CompVis (Stable Diffusion 1: the text
encoder as in transformers) or Stability (Stable Diffusion 2: the text encoder as in OpenCLIP). Which original key
becomes which diffusers key is asked of diffusers' own conversion: it is run on tags in place of tensors.
"""
import sys
import types
from collections import OrderedDict

import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders import single_file_utils as tables

UNET, VAE, CLIP, OPEN_CLIP = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.", "cond_stage_model.model."
RESNET = ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection")
VAE_RESNET = ("norm1", "conv1", "norm2", "conv2", "nin_shortcut")
RESBLOCK = ("attn.in_proj_weight", "attn.in_proj_bias", "attn.out_proj.weight", "attn.out_proj.bias", "ln_1.weight", "ln_1.bias",
            "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")


def parameters(modules):
    return [f"{module}.{kind}" for module in modules for kind in ("weight", "bias")]


def unet_names(unet):
    """The names the original U-Net may have; a few name nothing, such as shortcuts of resnets that have none."""
    names = list(tables.DIFFUSERS_TO_LDM_MAPPING["unet"]["layers"].values())
    transformer = sorted({key.split(".attentions.")[1].split(".", 1)[1] for key in unet.state_dict() if ".attentions." in key})
    per_level = unet.config.layers_per_block + 1
    levels = len(unet.config.block_out_channels)
    for i in range(per_level * levels):
        # The upsampler follows the transformer, if there is one.
        upsampler = 2 if unet.config.up_block_types[i // per_level].startswith("CrossAttn") else 1
        names += parameters([f"output_blocks.{i}.{upsampler}.conv"])
        if i > 0:
            names += parameters([f"input_blocks.{i}.0.op"])
        for block in [f"output_blocks.{i}"] + [f"input_blocks.{i}"] * (i > 0):
            names += parameters(f"{block}.0.{layer}" for layer in RESNET) + [f"{block}.1.{key}" for key in transformer]
    for i in (0, 2):
        names += parameters(f"middle_block.{i}.{layer}" for layer in RESNET)
    return [UNET + name for name in names + [f"middle_block.1.{key}" for key in transformer]]


def vae_names(vae):
    names = list(tables.DIFFUSERS_TO_LDM_MAPPING["vae"].values())
    for i in range(len(vae.config.block_out_channels)):
        for j in range(vae.config.layers_per_block + 1):
            names += parameters(f"{half}.{i}.block.{j}.{layer}" for half in ("encoder.down", "decoder.up") for layer in VAE_RESNET)
        names += parameters([f"encoder.down.{i}.downsample.conv", f"decoder.up.{i}.upsample.conv"])
    for half in ("encoder", "decoder"):
        names += parameters(f"{half}.mid.block_{j}.{layer}" for j in (1, 2) for layer in VAE_RESNET)
        names += parameters(f"{half}.mid.attn_1.{layer}" for layer in ("norm", "q", "k", "v", "proj_out"))
    return [VAE + name for name in names]


def open_clip_names(text_encoder):
    names = list(tables.DIFFUSERS_TO_LDM_MAPPING["openclip"]["layers"].values())
    for i in range(text_encoder.config.num_hidden_layers):
        names += [f"transformer.resblocks.{i}.{key}" for key in RESBLOCK]
    return [OPEN_CLIP + name for name in names]


def origins(names, convert, state):
    """diffusers key -> (original key, which third of it)."""
    tags = {name: torch.tensor([3 * i]) for i, name in enumerate(names)}
    for name, tag in tags.items():
        if ".in_proj_" in name:  # queries, keys and values in one tensor
            thirds = torch.cat([tag, tag + 1, tag + 2])
            tags[name] = thirds[:, None] if name.endswith("weight") else thirds
    found = {key.removeprefix("text_model."): int(tag) for key, tag in convert(tags).items()}
    missing = state.keys() - found.keys()
    assert not missing, f"no original key for {sorted(missing)}"
    return {key: (names[found[key] // 3], found[key] % 3) for key in state}


def rename(names, convert, state):
    parts = {}
    for key, (name, third) in origins(names, convert, state).items():
        parts.setdefault(name, {})[third] = state[key]
    # The VAE's attention was written as convolutions of 1x1.
    convolution = tuple(f"mid.attn_1.{layer}.weight" for layer in ("q", "k", "v", "proj_out"))
    renamed = {}
    for name, thirds in parts.items():
        tensor = torch.cat([thirds[i] for i in range(3)]) if ".in_proj_" in name else thirds[0]
        renamed[name] = tensor[:, :, None, None] if name.endswith(convolution) else tensor
    return renamed


def text_state_dict(text_encoder):
    state = text_encoder.state_dict()
    if text_encoder.config.hidden_act == "quick_gelu":
        names = [f"{CLIP}text_model.{key}" for key in state]
        renamed = rename(names, tables.convert_ldm_clip_checkpoint, state)
        renamed[CLIP + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
        return renamed
    renamed = rename(open_clip_names(text_encoder), lambda tags: tables.convert_open_clip_checkpoint(text_encoder, tags), state)
    # Conditioning on the layer before the last one: the original model has one more, which is never run.
    last = text_encoder.config.num_hidden_layers
    generator = torch.Generator("cpu").manual_seed(last)
    for key in RESBLOCK:
        like = renamed[f"{OPEN_CLIP}transformer.resblocks.0.{key}"]
        renamed[f"{OPEN_CLIP}transformer.resblocks.{last}.{key}"] = torch.randn(like.shape, generator=generator).to(like.dtype)
    hidden = text_encoder.config.hidden_size
    renamed[OPEN_CLIP + "text_projection"] = torch.randn(hidden, hidden, generator=generator).to(like.dtype)
    renamed[OPEN_CLIP + "logit_scale"] = torch.tensor(4.6052)
    return renamed


def state_dict(pipe):
    """The tensors of all three networks, sharing the memory of the pipeline's where the layout allows."""
    unet = rename(unet_names(pipe.unet), lambda tags: tables.convert_ldm_unet_checkpoint(tags, pipe.unet.config), pipe.unet.state_dict())
    vae = rename(vae_names(pipe.vae), lambda tags: tables.convert_ldm_vae_checkpoint(tags, pipe.vae.config), pipe.vae.state_dict())
    return {**schedule(), **unet, **vae, **text_state_dict(pipe.text_encoder)}


def schedule():
    """The buffers of the original diffusion model, which register as weights."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alphas = 1 - betas
    cumprod = alphas.cumprod(0)
    previous = torch.cat([torch.ones(1, dtype=torch.float64), cumprod[:-1]])
    posterior = betas * (1 - previous) / (1 - cumprod)
    buffers = dict(
        betas=betas, alphas_cumprod=cumprod, alphas_cumprod_prev=previous, sqrt_alphas_cumprod=cumprod.sqrt(),
        sqrt_one_minus_alphas_cumprod=(1 - cumprod).sqrt(), log_one_minus_alphas_cumprod=(1 - cumprod).log(),
        sqrt_recip_alphas_cumprod=(1 / cumprod).sqrt(), sqrt_recipm1_alphas_cumprod=(1 / cumprod - 1).sqrt(),
        posterior_variance=posterior, posterior_log_variance_clipped=posterior.clamp(min=1e-20).log(),
        posterior_mean_coef1=betas * previous.sqrt() / (1 - cumprod), posterior_mean_coef2=(1 - previous) * alphas.sqrt() / (1 - cumprod))
    return {name: buffer.float() for name, buffer in buffers.items()}


def ema(state, weight):
    """Running means of the U-Net's weights under their flattened names; `weight` gives a tensor's wrong value."""
    means = {"model_ema." + name.removeprefix("model.").replace(".", ""): weight(tensor) for name, tensor in state.items() if name.startswith(UNET)}
    return {**means, "model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(840000, dtype=torch.int32)}


def save_ckpt(state, path):
    """A checkpoint of PyTorch Lightning, with an object whose class only Lightning has."""
    module = "pytorch_lightning.callbacks.model_checkpoint"
    callback = type("ModelCheckpoint", (), {"__module__": module})
    parents = [module.rsplit(".", n)[0] for n in range(3)]
    sys.modules.update({name: types.ModuleType(name) for name in parents})
    sys.modules[module].ModelCheckpoint = callback
    weights = OrderedDict(state)
    weights._metadata = OrderedDict({"": {"version": 1}})  # as Module.state_dict() leaves it
    instance = callback()
    instance.monitor = "val/loss_simple_ema"
    torch.save({"epoch": 4, "global_step": 840000, "pytorch-lightning_version": "1.4.2", "state_dict": weights,
                "callbacks": {callback: {"best_model_score": torch.tensor(0.125)}, "saved": instance}, "optimizer_states": [], "lr_schedulers": []}, path)
    for name in parents:
        del sys.modules[name]


def check(path, config, pipe):
    """That diffusers reads the same tensors back from a single file of safetensors."""
    read = StableDiffusionPipeline.from_single_file(path, config=config, local_files_only=True, torch_dtype=pipe.dtype)
    for name in ("unet", "vae", "text_encoder"):
        expected, state = getattr(pipe, name).state_dict(), getattr(read, name).state_dict()
        assert expected.keys() == state.keys(), (path, name)
        for key, tensor in expected.items():
            assert torch.equal(state[key], tensor), (path, name, key)
