#!/usr/bin/env python3
"""Fixtures of the weight formats: small models in each, and files of other kinds that are to be refused.

  python make_formats_fixtures.py

See formats.py for formats.json, which has a third list here: foreign, with the path of each file and what it is.

All weights are excerpts of one short random sequence, multiples of 1/1024 below 1/4 (or of powers of two of that),
which float16 and bfloat16 hold exactly: a family's numbers are the same in every format. In the pickles the tensors are
overlapping views of one storage, which keeps these files small. Those of bin-legacy name the storages by address and so
differ from run to run; everything else does not.
"""
import json
import os
import shutil
import tempfile

import diffusers
import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import compvis
import formats
import make_reference as reference

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "formats")
PERIOD = 12007
COMPONENTS = ["text_encoder", "unet", "vae"]


def kind_of(name):
    if "norm" in name and name.endswith("weight"):
        return "norm"
    return "sharp" if "attn2.to_q" in name or "attn2.to_k" in name else "plain"


def pools(models, dtype):
    """The weights' values by kind: weights, the sharper queries and keys, scales of norms."""
    steps = (torch.randn(PERIOD, generator=torch.Generator("cpu").manual_seed(0)) * 60).round().clamp(-255, 255)
    values = {"plain": steps / 1024, "sharp": steps / 128, "norm": 1 + (steps / 4).round() / 128}
    sizes = [(kind_of(name), tensor.numel()) for model in models for name, tensor in model.state_dict().items()]
    repeats = {kind: 1 + -(-max(size for other, size in sizes if other == kind) // PERIOD) for kind in values}
    return {kind: pool.repeat(repeats[kind]).to(dtype) for kind, pool in values.items()}


def fill(models, dtype, shared):
    """Makes every weight an excerpt of a pool, each with a start of its own, or even a view of it; returns the pools."""
    values = pools(models, dtype)
    start = 0
    for model in models:
        state = {}
        for name, parameter in model.state_dict().items():
            start = (start + 1009) % PERIOD
            state[name] = values[kind_of(name)][start : start + parameter.numel()].view(parameter.shape)
        model.to(dtype).load_state_dict(state, assign=shared)
        model.eval()
    return values


def build(family, dtype, tokenizer, shared=False):
    sd2 = family == "sd2"
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=1,
        max_position_embeddings=77, hidden_act="gelu" if sd2 else "quick_gelu", projection_dim=64, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=0 if sd2 else tokenizer.pad_token_id))
    unet = diffusers.UNet2DConditionModel(
        sample_size=32, block_out_channels=(64, 64, 128, 128) if sd2 else (32, 32, 32, 32), cross_attention_dim=64,
        use_linear_projection=sd2, attention_head_dim=(1, 1, 2, 2) if sd2 else 8)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(32, 32, 64, 64) if sd2 else (32, 32, 32, 32), layers_per_block=2, latent_channels=4, sample_size=256,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False, set_alpha_to_one=False,
        prediction_type="v_prediction" if sd2 else "epsilon")
    values = fill([text, unet, vae], dtype, shared)
    pipe = diffusers.StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
                                             safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    return pipe, values


def mixed(pipe):
    """Another dtype for each component, as files are that had only some of them reduced."""
    state = compvis.state_dict(pipe)
    dtypes = {compvis.UNET: torch.float16, compvis.VAE: torch.bfloat16}
    return {name: tensor.to(next((dtype for prefix, dtype in dtypes.items() if name.startswith(prefix)), tensor.dtype))
            for name, tensor in state.items()}


def save_ckpt(pipe, values, path):
    """With running means that are views of the pool too."""
    means = lambda tensor: values["plain"][: tensor.numel()].view(tensor.shape)
    compvis.save_ckpt(formats.with_means(compvis.state_dict(pipe), means), path)


def write_family(family, tokenizer, variants):
    """Writes the variants of a family; returns its entry in formats.json."""
    folder = os.path.join(OUT, family)
    os.makedirs(folder)
    layout = "stability" if family == "sd2" else "compvis"

    def variant(name, path, **fields):
        entry = dict(name=f"{family}-{name}", path=f"{family}/{path}", family=family, layout=layout, dtype="f16", components=COMPONENTS,
                     variant=None, expected=f"{family}/expected.safetensors")
        variants.append({**entry, **fields})
        return os.path.join(folder, path)

    pipe, _ = build(family, torch.float32, tokenizer)
    formats.expected(pipe, latent_size=16, vae_size=8, path=f"{folder}/expected.safetensors")
    with tempfile.TemporaryDirectory() as config:
        pipe.save_pretrained(config)
        if family == "sd1":
            path = variant("single", "single.safetensors", dtype=dict(unet="f16", vae="bf16", text_encoder="f32"))
            formats.save_single(mixed(pipe), path)
        else:
            path = f"{config}/single.safetensors"
            formats.save_single(compvis.state_dict(pipe), path)
        compvis.check(path, config, pipe)

    half, values = build(family, torch.float16, tokenizer, shared=True)
    save_ckpt(half, values, variant("ckpt-f16", "single-f16.ckpt"))
    if family == "sd2":
        return formats.describe(pipe, 16)
    bfloat, values = build(family, torch.bfloat16, tokenizer, shared=True)
    save_ckpt(bfloat, values, variant("ckpt-bf16", "single-bf16.ckpt", dtype="bf16"))

    for name, legacy in (("bin", False), ("bin-legacy", True)):
        path = variant(name, name, layout="diffusers", components=["text_encoder", "vae"])
        formats.save_bin(half, path, legacy)
        formats.check_folder(path, half, ["text_encoder", "vae"], use_safetensors=False)
    half, _ = build(family, torch.float16, tokenizer)
    path = variant("fp16", "fp16", layout="diffusers", components=["text_encoder"], variant="fp16")
    half.text_encoder.save_pretrained(f"{path}/text_encoder", variant="fp16")
    formats.check_folder(path, half, ["text_encoder"], variant="fp16")
    path = variant("sharded", "sharded", layout="diffusers", components=["unet"])
    half.unet.save_pretrained(f"{path}/unet", max_shard_size="1MB")
    formats.check_folder(path, half, ["unet"])
    return formats.describe(pipe, 16)


# Keys of other kinds of file, with the first dimensions cut to one.
FOREIGN = {
    "sdxl.safetensors": ("a single file of Stable Diffusion XL", {
        "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (1, 768),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight": (1, 768),
        "conditioner.embedders.1.model.positional_embedding": (1, 1280),
        "conditioner.embedders.1.model.text_projection": (1, 1280),
        "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias": (1280,),
        "first_stage_model.decoder.conv_in.weight": (1, 4, 3, 3),
        "model.diffusion_model.input_blocks.0.0.weight": (1, 4, 3, 3),
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight": (1, 2048),
        "model.diffusion_model.label_emb.0.0.weight": (1, 2816),
        "model.diffusion_model.middle_block.1.transformer_blocks.9.attn2.to_k.weight": (1, 2048),
        "model.diffusion_model.out.2.weight": (1, 320, 3, 3)}),
    "flux.safetensors": ("a transformer of Flux", {
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,), "double_blocks.0.img_attn.qkv.weight": (1, 3072),
        "double_blocks.0.txt_mlp.0.weight": (1, 3072), "final_layer.linear.weight": (1, 3072), "guidance_in.in_layer.weight": (1, 256),
        "img_in.weight": (1, 64), "single_blocks.0.linear1.weight": (1, 3072), "txt_in.weight": (1, 4096), "vector_in.in_layer.weight": (1, 768)}),
    "sd3.safetensors": ("a single file of Stable Diffusion 3", {
        "first_stage_model.decoder.conv_in.weight": (1, 16, 3, 3), "model.diffusion_model.context_embedder.weight": (1, 4096),
        "model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,),
        "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": (1, 1536), "model.diffusion_model.pos_embed": (1, 1, 1536),
        "model.diffusion_model.x_embedder.proj.weight": (1, 16, 2, 2), "model.diffusion_model.y_embedder.mlp.0.weight": (1, 2048),
        "text_encoders.clip_g.transformer.text_model.embeddings.position_embedding.weight": (1, 1280),
        "text_encoders.clip_l.transformer.text_model.embeddings.position_embedding.weight": (1, 768)}),
    "lora-kohya.safetensors": ("a LoRA with the keys of kohya's scripts", {
        "lora_te_text_model_encoder_layers_0_mlp_fc1.alpha": (), "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (1, 768),
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": (3072, 1),
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha": (),
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight": (1, 320),
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight": (320, 1)}),
    "lora-diffusers.safetensors": ("a LoRA with the keys of diffusers", {
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight": (1, 320),
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight": (320, 1),
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": (1, 768),
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight": (768, 1)}),
    "controlnet.safetensors": ("a ControlNet in the original layout", {
        "control_model.input_blocks.0.0.weight": (1, 4, 3, 3), "control_model.input_hint_block.0.weight": (16, 3, 3, 3),
        "control_model.middle_block_out.0.bias": (1280,), "control_model.time_embed.0.weight": (1, 320),
        "control_model.zero_convs.0.0.weight": (1, 320, 1, 1)}),
    "controlnet-diffusers.safetensors": ("a ControlNet of diffusers", {
        "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "controlnet_down_blocks.0.weight": (1, 320, 1, 1),
        "controlnet_mid_block.bias": (1280,), "conv_in.weight": (1, 4, 3, 3), "time_embedding.linear_1.weight": (1, 320),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (1, 768)}),
    "vae.safetensors": ("a VAE alone, in the original layout", {
        "decoder.conv_in.weight": (1, 4, 3, 3), "decoder.mid.attn_1.q.weight": (1, 512, 1, 1), "decoder.up.3.block.0.norm1.weight": (512,),
        "encoder.conv_in.weight": (1, 3, 3, 3), "encoder.down.0.block.0.norm1.weight": (128,), "encoder.mid.attn_1.q.weight": (1, 512, 1, 1),
        "post_quant_conv.weight": (4, 4, 1, 1), "quant_conv.weight": (8, 8, 1, 1)}),
    "embedding.safetensors": ("an embedding of textual inversion", {"<toy>": (768,)}),
}
SDXL_FOLDER = {
    "model_index.json": {
        "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0.dev0", "force_zeros_for_empty_prompt": True,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]},
}
LFS_POINTER = """version https://git-lfs.github.com/spec/v1
oid sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
size 4265146304
"""
HTML_PAGE = """<!DOCTYPE html>
<html><head><title>Sign in</title></head>
<body><h1>401 Unauthorized</h1><p>Access to this model is restricted. You must be authenticated to access it.</p></body></html>
"""


class Malicious:
    """Unpickled by a reader that runs what it finds, it leaves a file `executed` in the working directory."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def write_foreign():
    folder = os.path.join(OUT, "foreign")
    os.makedirs(f"{folder}/sdxl")
    entries = []

    def foreign(name, what):
        entries.append(dict(path=f"foreign/{name}", what=what))
        return os.path.join(folder, name)

    def text(name, what, content):
        with open(foreign(name, what), "w") as f:
            f.write(content)

    for name, (what, shapes) in FOREIGN.items():
        save_file({key: torch.zeros(shape, dtype=torch.float16) for key, shape in shapes.items()}, foreign(name, what))
    foreign("sdxl", "a folder of Stable Diffusion XL")
    for name, content in SDXL_FOLDER.items():
        with open(f"{folder}/sdxl/{name}", "w") as f:
            json.dump(content, f, indent=1)
    text("git-lfs-pointer.safetensors", "a pointer of git-lfs", LFS_POINTER)
    text("page.safetensors", "a page of HTML", HTML_PAGE)
    torch.save({"state_dict": Malicious()}, foreign("malicious.ckpt", "a pickle that runs a command"))
    sparse = torch.sparse_coo_tensor([[0]], [1.0], (4,))
    torch.save({"state_dict": {"a": sparse}}, foreign("objects.ckpt", "an object that holds tensors"))
    weights = {"model.diffusion_model.time_embed.0.weight": torch.zeros(32, 32), "model.diffusion_model.time_embed.0.bias": torch.zeros(32)}
    path = foreign("truncated.ckpt", "a checkpoint whose end is missing")
    torch.save({"state_dict": weights}, path)
    os.truncate(path, os.path.getsize(path) * 3 // 5)
    return entries


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    variants = []
    with tempfile.TemporaryDirectory() as folder:
        reference.build_tokenizer(folder)
        tokenizer = CLIPTokenizer.from_pretrained(folder)
        families = {family: write_family(family, tokenizer, variants) for family in ("sd1", "sd2")}
    description = dict(families=families, variants=variants, foreign=write_foreign())
    with open(f"{OUT}/formats.json", "w") as f:
        json.dump(description, f, indent=1)


if __name__ == "__main__":
    main()
