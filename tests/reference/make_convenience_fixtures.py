#!/usr/bin/env python3
"""Fixtures of what is loaded or written on top of a model, on the small models of ../fixtures/models.

  LPW=lpw_stable_diffusion.py python make_convenience_fixtures.py [lora] [inversion] [clip_skip] [weighting] [img2img] [inpainting]

LPW is the file of that name in examples/community of diffusers' repository, which its package does not contain: it
defines the syntax of weighted prompts, after Stable Diffusion WebUI. Without LPW the fixtures of weighting are kept.
LoRAs need the package peft; of the fixtures only lora/peft.safetensors differs from run to run, in the order of its
metadata. Each folder has its cases in cases.json and their tensors in expected.safetensors:

  lora/        cases: name, model, loras (file and scale). latents [1,4,16,16], timestep [1]; by the case's name:
               input_ids [2,77] (negative prompt, prompt), text_embeddings [2,77,C], noise_prediction [2,4,16,16]
  inversion/   files in the order they are loaded, with token (given, or null where the file says it), and the first id
               and number of their vectors; prompts with converted, the prompt after diffusers' maybe_convert_prompt.
               input_ids [n,77], text_embeddings [n,77,C]
  clip_skip/   prompts; by model/clip_skip ("none", 1, 2): [n,77,C], the hidden states clip_skip layers before the last
               one after the final layer norm; model/input_ids [n,77]
  weighting/   model: text encoder and tokenizer; parsed: prompt and its fragments with weights; weighted: prompt, chunks
               (windows of 75 tokens it may take) and factor (that restores the mean). By the weighted prompt's index:
               input_ids [1,75 chunks + 2], weights [1,77 chunks]; unweighted, scaled (times the weights) and
               text_embeddings (scaled, the mean of unweighted restored), each [1,77 chunks,C]
  img2img/     init.png and cases: name, scheduler, strength, steps, seed, guidance_scale, prompt, negative_prompt,
               timesteps. mean and std [1,4,16,16] of the encoded image; by the case's name: init_latents (the scaled
               sample of the encoding) and noise [1,4,16,16], in the order they are drawn; noised, the latents the first
               step gets; final_latents. NAME.png is the image
  inpainting/  unet: a tiny one of nine channels, for the other parts of sd1; init.png, mask.png and cases as above, with
               channels (4: sd1 itself), strength and padding (null: the whole picture is drawn). By the case's name
               mask [1,1,8,8], final_latents [1,4,8,8] and, of nine channels, masked_image_latents. gradient: for the first case's
               condition initial_latents, noise_prediction [1,4,8,8], loss [1] and gradient [1,4,8,8] of the subjects at
               tokens 2 and 5 by maps of 4x4. NAME.png is the image
"""
import importlib.util
import json
import os
import shutil
import sys
import types

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTokenizer

import make_reference as reference

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")
OUT = os.path.join(FIXTURES, "convenience")
PROMPT, NEGATIVE_PROMPT = "a cat and a dog", "a photo of a mouse"


def pipeline(model, cls=StableDiffusionPipeline):
    pipe = cls.from_pretrained(os.path.join(FIXTURES, "models", model), torch_dtype=torch.float32, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_text_model(pipe):
    """What diffusers asks of the text encoder of transformers 4: its inner model, which in transformers 5 is itself."""
    object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
    return pipe


def ids(pipe, prompts):
    return pipe.tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids


def save(folder, cases, tensors):
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, f"{OUT}/{folder}/expected.safetensors")
    with open(f"{OUT}/{folder}/cases.json", "w") as f:
        json.dump(cases, f, indent=1)


# --- LoRA


ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("ff.net.0.proj", "ff.net.2")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
CONVOLUTION = ("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj")


def adapted(model, suffixes):
    return {name: module for name, module in model.named_modules() if name.endswith(suffixes) and hasattr(module, "weight")}


def factors(module, rank, generator, middle=False):
    """The down and up projections of a layer; its kernel is in the first, or in one of its own between them."""
    shape = module.weight.shape
    kernel, point = list(shape[2:]), [1] * len(shape[2:])
    shapes = [[rank, shape[1], *(point if middle else kernel)], [shape[0], rank, *point], [rank, rank, *kernel]]
    down, up, mid = (torch.randn(shape, generator=generator) for shape in shapes)
    return (down * shape[1] ** -0.5).half(), (up * 0.3).half(), (mid * 0.3).half()


def kohya(pipe, seed, middle=False):
    """Keys of kohya's scripts. Attention, feed-forward, projections; some convolutions, with a rank and alpha of their own."""
    generator = torch.Generator("cpu").manual_seed(seed)
    state = {}

    def add(name, module, rank, alpha, middle=False):
        name = name.replace(".", "_")
        down, up, mid = factors(module, rank, generator, middle)
        state.update({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(alpha).half()})
        if middle:
            state[f"{name}.lora_mid.weight"] = mid

    if not middle:
        for name, module in adapted(pipe.unet, ATTENTION + FEED_FORWARD + ("proj_in", "proj_out")).items():
            add("lora_unet_" + name, module, 4, 2.0)
        for name, module in adapted(pipe.text_encoder, TEXT).items():
            add("lora_te_text_model_" + name, module, 4, 3.0)
    for name, module in adapted(pipe.unet, CONVOLUTION).items():
        if name.startswith(("down_blocks.1", "up_blocks.2")):
            add("lora_unet_" + name, module, 2, 1.0, middle and module.weight.shape[2:] == (3, 3))
    return state


def merged(pipe, state, scale):
    """Adds a LoRA with kohya's keys to the weights: up · mid · down · alpha / rank. diffusers knows no lora_mid."""
    modules = {"lora_unet_" + name.replace(".", "_"): module for name, module in pipe.unet.named_modules()}
    modules.update({"lora_te_text_model_" + name.replace(".", "_"): module for name, module in pipe.text_encoder.named_modules()})
    for name in sorted({key.split(".")[0] for key in state}):
        down, up, mid = (state.get(f"{name}.lora_{kind}.weight") for kind in ("down", "up", "mid"))
        if mid is None:
            delta = torch.einsum("or...,ri...->oi...", up.float().expand(*up.shape[:2], *down.shape[2:]), down.float())
        else:
            delta = torch.einsum("os,srxy,ri->oixy", up.float()[:, :, 0, 0], mid.float(), down.float()[:, :, 0, 0])
        with torch.no_grad():
            modules[name].weight += scale * state[f"{name}.alpha"].item() / len(down) * delta


def old_keys(pipe, seed):
    """Keys of the attention processors that diffusers had before PEFT."""
    generator = torch.Generator("cpu").manual_seed(seed)
    state = {}
    for prefix, suffixes, model, attention in (("unet", ATTENTION, pipe.unet, "processor."),
                                               ("text_encoder.text_model", TEXT[:4], pipe.text_encoder, "")):
        for name, module in adapted(model, suffixes).items():
            for suffix, projection in zip(suffixes, ("q", "k", "v", "out")):
                if name.endswith(suffix):
                    key = f"{prefix}.{name.removesuffix(suffix)}{attention}to_{projection}_lora"
                    state[f"{key}.down.weight"], state[f"{key}.up.weight"], _ = factors(module, 4, generator)
    return state


def save_trained(model, seed, path, peft):
    """As diffusers' training scripts save a LoRA, with PEFT's keys and config or with diffusers' own keys."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = pipeline(model)
    configs = dict(unet=LoraConfig(r=4, lora_alpha=8 if peft else 4, target_modules=list(ATTENTION)),
                   text_encoder=LoraConfig(r=4, lora_alpha=2 if peft else 4, target_modules=["q_proj", "k_proj", "v_proj", "out_proj"]))
    generator = torch.Generator("cpu").manual_seed(seed)
    layers = {}
    for name, config in configs.items():
        component = getattr(pipe, name)
        component.add_adapter(config)
        state = {key: tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.2).half()
                 for key, tensor in get_peft_model_state_dict(component).items()}
        if not peft:
            # transformers 5 leaves the prefix out, which most files have.
            prefix = "text_model." if name == "text_encoder" else ""
            state = {prefix + key: tensor for key, tensor in convert_state_dict_to_diffusers(state).items()}
        else:
            metadata = dict(target_modules=sorted(config.target_modules), base_model_name_or_path=None)
            layers[f"{name}_lora_adapter_metadata"] = {**config.to_dict(), **metadata}
        layers[f"{name}_lora_layers"] = state
    folder, file = os.path.split(path)
    StableDiffusionPipeline.save_lora_weights(folder, weight_name=file, **layers)


LORAS = {
    "sd1-none": ("sd1", []),
    "sd1-kohya": ("sd1", [("kohya.safetensors", 1.0)]),
    "sd1-kohya-0.6": ("sd1", [("kohya.safetensors", 0.6)]),
    "sd1-diffusers": ("sd1", [("diffusers.safetensors", 1.0)]),
    "sd1-peft": ("sd1", [("peft.safetensors", 1.0)]),
    "sd1-peft-0.6": ("sd1", [("peft.safetensors", 0.6)]),
    "sd1-old": ("sd1", [("old.safetensors", 1.0)]),
    "sd1-two": ("sd1", [("kohya.safetensors", 0.6), ("diffusers.safetensors", 0.8)]),
    "sd1-negative": ("sd1", [("kohya.safetensors", -0.5)]),
    "sd1-kohya-mid": ("sd1", [("kohya-mid.safetensors", 0.6)]),
    "sd2-none": ("sd2", []),
    "sd2-kohya": ("sd2", [("sd2-kohya.safetensors", 0.6)]),
}


def lora():
    pipe, folder = pipeline("sd1"), f"{OUT}/lora"
    states = {"kohya": kohya(pipe, 1), "kohya-mid": kohya(pipe, 2, middle=True), "old": old_keys(pipe, 3), "sd2-kohya": kohya(pipeline("sd2"), 4)}
    for name, state in states.items():
        save_file(state, f"{folder}/{name}.safetensors", metadata={"ss_network_dim": "4"})
    save_trained("sd1", 5, f"{folder}/diffusers.safetensors", peft=False)
    save_trained("sd1", 6, f"{folder}/peft.safetensors", peft=True)

    generator = torch.Generator("cpu").manual_seed(7)
    latents, timestep = torch.randn(1, 4, 16, 16, generator=generator), torch.tensor([501.0])
    tensors = dict(latents=latents, timestep=timestep)
    for name, (model, loras) in LORAS.items():
        pipe = pipeline(model)
        for file, scale in loras:
            if file == "kohya-mid.safetensors":
                merged(pipe, states["kohya-mid"], scale)
            else:
                pipe.load_lora_weights(folder, weight_name=file)
                pipe.fuse_lora(lora_scale=scale)
                pipe.unload_lora_weights()
        values = compute(pipe, latents, timestep)
        if all("kohya" in file for file, _ in loras):
            check_merged(name, model, [(states[file.split(".")[0]], scale) for file, scale in loras], latents, timestep, values)
        tensors.update({f"{name}/{key}": value for key, value in values.items()})
    cases = [dict(name=name, model=model, loras=[dict(file=file, scale=scale) for file, scale in loras]) for name, (model, loras) in LORAS.items()]
    save("lora", cases, tensors)


@torch.no_grad()
def compute(pipe, latents, timestep):
    input_ids = ids(pipe, [NEGATIVE_PROMPT, PROMPT])
    embeddings = pipe.text_encoder(input_ids)[0]
    noise = pipe.unet(torch.cat([latents] * 2), timestep, encoder_hidden_states=embeddings).sample
    return dict(input_ids=input_ids, text_embeddings=embeddings, noise_prediction=noise)


def check_merged(name, model, loras, latents, timestep, values):
    """That LoRAs with kohya's keys are what their formula says."""
    pipe = pipeline(model)
    for state, scale in loras:
        merged(pipe, state, scale)
    for key, value in compute(pipe, latents, timestep).items():
        assert torch.allclose(value, values[key], atol=1e-4), (name, key, (value - values[key]).abs().max())


# --- Textual inversion


INVERSION_PROMPTS = [
    "a <toy> and a dog",
    "a <shape> on a red car",
    "<toy><shape>, a photo",
    "a <TOY> with a <Toy>",
    "<pickled> and webui-style and webui-params",
    "a webui-styled cat",
    "a photo of a <shape> " * 12,
]


def inversion():
    pipe, folder = pipeline("sd1"), f"{OUT}/inversion"
    generator = torch.Generator("cpu").manual_seed(8)

    def vectors(*shape):
        return torch.randn(*shape, pipe.text_encoder.config.hidden_size, generator=generator) * 0.5

    save_file({"<toy>": vectors()}, f"{folder}/learned_embeds.safetensors")
    save_file({"<shape>": vectors(3)}, f"{folder}/shape.safetensors")
    torch.save({"<pickled>": vectors()}, f"{folder}/learned_embeds.bin")
    webui = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(vectors(2))}, "name": "webui-style", "step": 500,
             "sd_checkpoint": "0123456789", "sd_checkpoint_name": "model"}
    torch.save(webui, f"{folder}/webui-style.pt")
    save_file({"emb_params": vectors(2)}, f"{folder}/webui-params.safetensors")

    files = []
    for file, token in (("learned_embeds.safetensors", None), ("shape.safetensors", None), ("learned_embeds.bin", None),
                        ("webui-style.pt", None), ("webui-params.safetensors", "webui-params")):
        first = len(pipe.tokenizer)
        pipe.load_textual_inversion(folder, weight_name=file, token=token)
        files.append(dict(file=file, token=token, first_id=first, vectors=len(pipe.tokenizer) - first))
    prompts = [dict(prompt=prompt, converted=pipe.maybe_convert_prompt(prompt, pipe.tokenizer)) for prompt in INVERSION_PROMPTS]
    input_ids = ids(pipe, [prompt["converted"] for prompt in prompts])
    with torch.no_grad():
        embeddings = pipe.text_encoder(input_ids)[0]
    save("inversion", dict(model="sd1", files=files, prompts=prompts), dict(input_ids=input_ids, text_embeddings=embeddings))


# --- Clip skip


def clip_skip():
    prompts = ["", PROMPT, "a bear with a red crown"]
    tensors = {}
    for model in ("sd1", "sd2"):
        pipe = with_text_model(pipeline(model))
        tensors[f"{model}/input_ids"] = ids(pipe, prompts)
        for skip in (None, 1, 2):
            with torch.no_grad():
                embeddings, _ = pipe.encode_prompt(prompts, "cpu", 1, False, clip_skip=skip)
            tensors[f"{model}/{skip or 'none'}"] = embeddings
    save("clip_skip", dict(prompts=prompts), tensors)


# --- Prompt weighting


PARSED = [
    "", " ", "a cat", "a (cat)", "a ((cat))", "a [cat]", "a [[cat]] and a [dog]", "(a cat:1.5)", "(a cat:-1)", "(a cat:0)", "(a cat:.5)",
    "(a cat: 1.2)", "(a cat:1.2 )", "(a cat:+2)", "(a cat:1.5", "a cat:1.5)", "a (cat and (dog:1.4))", "((a cat:1.2) on a [red car]:0.8)",
    "a \\(cat\\) and a \\[dog\\]", "a \\\\ (cat)", "\\", "a (cat", "a cat)", "[a cat", "a cat]", "(a [cat) and a dog]", "()", "[]", "(:1.5)",
    "a cat: a dog", "a cat :1.3", "[a cat:1.3]", "(cat:1.1)(dog:1.1)", "(a:b:1.2)", "a cat BREAK a dog", "a cat AND a dog:1.2", "(a|b:1.2), {c}",
    "(\u732b:1.3) caf\u00e9", "(a\ncat:1.25)\tdog",
]  # fmt: skip
# And the windows of 75 tokens they may take.
WEIGHTED = [
    ("a cat and a dog", 1),
    ("a (cat:1.5) and a [dog]", 1),
    ("((a red bird)) with (glasses:0.4), (a horse:-0.5)", 1),
    ("a (polar bear:0) on a \\(blue\\) balloon", 1),
    ("(red:1.2) bird with " + "a (cat:1.4) and a [dog], " * 12, 1),  # 75 tokens
    ("(" + "a lion and a red bear, " * 20 + ":1.3)", 1),
    ("(red:1.2) bird with " + "a (cat:1.4) and a [dog], " * 20, 2),
]


def load_lpw(path):
    spec = importlib.util.spec_from_file_location("lpw", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def weighting():
    """On a text model whose embeddings have a mean other than zero: their mean is what is restored."""
    lpw, model = load_lpw(os.environ["LPW"]), dict(text_encoder="clip/quick_gelu", tokenizer="clip/sd1")
    tokenizer = CLIPTokenizer.from_pretrained(os.path.join(FIXTURES, model["tokenizer"]))
    text_encoder = CLIPTextModel.from_pretrained(os.path.join(FIXTURES, model["text_encoder"]))
    pipe = with_text_model(types.SimpleNamespace(tokenizer=tokenizer, text_encoder=text_encoder, device="cpu"))
    parsed = [dict(prompt=prompt, fragments=lpw.parse_prompt_attention(prompt)) for prompt in PARSED]
    weighted, tensors = [], {}
    for i, (prompt, chunks) in enumerate(WEIGHTED):
        length = 75 * chunks + 2
        tokens, weights = lpw.get_prompts_with_weights(pipe, [prompt], length - 2)
        tokens, weights = lpw.pad_tokens_and_weights(tokens, weights, length, tokenizer.bos_token_id, tokenizer.eos_token_id,
                                                     tokenizer.pad_token_id, no_boseos_middle=False)
        weights = torch.tensor(weights)
        unweighted, _ = lpw.get_weighted_text_embeddings(pipe, prompt, max_embeddings_multiples=chunks, skip_weighting=True)
        embeddings, _ = lpw.get_weighted_text_embeddings(pipe, prompt, max_embeddings_multiples=chunks)
        scaled = unweighted * weights[:, :, None]
        values = dict(input_ids=torch.tensor(tokens), weights=weights, unweighted=unweighted, scaled=scaled, text_embeddings=embeddings)
        tensors.update({f"{i}/{key}": value for key, value in values.items()})
        weighted.append(dict(prompt=prompt, chunks=chunks, factor=(unweighted.mean() / scaled.mean()).item()))
    save("weighting", dict(model=model, parsed=parsed, weighted=weighted), tensors)


# --- Image to image


def smooth_image(path, size=128):
    y, x = np.mgrid[0:size, 0:size] / size
    red = 0.5 + 0.4 * np.sin(7 * x + 3 * y)
    green = np.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2) / 0.05)
    blue = 0.2 + 0.6 * x * (1 - y)
    Image.fromarray((np.stack([red, green, blue], 2) * 255).round().astype(np.uint8)).save(path, optimize=True)


@torch.no_grad()
def img2img():
    path = f"{OUT}/img2img/init.png"
    smooth_image(path)
    pipe = pipeline("sd1", StableDiffusionImg2ImgPipeline)
    image = Image.open(path)
    encoded = pipe.vae.encode(pipe.image_processor.preprocess(image)).latent_dist
    tensors, cases = dict(mean=encoded.mean, std=encoded.std), []
    original = pipe.scheduler
    for scheduler in ("DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler"):
        for strength in (0.3, 0.6, 1.0):
            name = f"{scheduler.removesuffix('Scheduler').lower()}-{strength}"
            pipe.scheduler = reference.scheduler_like(original, scheduler)
            case = dict(name=name, scheduler=scheduler, strength=strength, steps=10, seed=42, guidance_scale=7.5, prompt=PROMPT,
                        negative_prompt=NEGATIVE_PROMPT, timesteps=[])
            record, add_noise = {}, pipe.scheduler.add_noise

            def keep(init_latents, noise, timesteps):
                record.update(init_latents=init_latents, noise=noise, noised=add_noise(init_latents, noise, timesteps))
                return record["noised"].clone()

            def after(pipe, step, timestep, values):
                case["timesteps"].append(float(timestep))
                return values

            pipe.scheduler.add_noise = keep
            latents = pipe(PROMPT, image, strength, 10, guidance_scale=7.5, negative_prompt=NEGATIVE_PROMPT, output_type="latent",
                           generator=torch.Generator("cpu").manual_seed(42), callback_on_step_end=after).images
            decoded = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
            pipe.image_processor.postprocess(decoded)[0].save(f"{OUT}/img2img/{name}.png", optimize=True)
            tensors.update({f"{name}/{key}": value for key, value in {**record, "final_latents": latents}.items()})
            cases.append(case)
    save("img2img", cases, tensors)


# --- Inpainting


# Channels of the U-Net, scheduler, strength, padding.
INPAINTING = [
    (9, "DDIMScheduler", 1.0, None),
    (9, "EulerDiscreteScheduler", 0.6, None),
    (9, "EulerAncestralDiscreteScheduler", 1.0, None),
    (9, "PNDMScheduler", 0.5, None),
    (9, "DDIMScheduler", 1.0, 4),
    (4, "DDIMScheduler", 1.0, None),
    (4, "EulerDiscreteScheduler", 0.6, None),
    (4, "EulerAncestralDiscreteScheduler", 0.6, None),
    (4, "PNDMScheduler", 1.0, None),
    (4, "DPMSolverMultistepScheduler", 0.6, None),
    (4, "UniPCMultistepScheduler", 1.0, None),
]


def inpainting_unet(folder):
    torch.manual_seed(9)
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=9, out_channels=4, block_out_channels=(4, 8), layers_per_block=1, cross_attention_dim=32, norm_num_groups=2,
        attention_head_dim=2, down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
            if "attn2.to_q" in name or "attn2.to_k" in name:
                parameter.mul_(4.0)
    unet.half().save_pretrained(folder)
    return unet.float().eval()


def inpainting_gradient(pipe, condition):
    """The loss of Attend-and-Excite by the latents alone: mask and masked image are given."""
    components = {name: part for name, part in pipe.components.items() if name != "image_encoder"}
    pipe = reference.AttendAndExcite(**components, requires_safety_checker=False)
    forward = pipe.unet.forward
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator("cpu").manual_seed(42))
    pipe.scheduler.set_timesteps(6)
    timestep = pipe.scheduler.timesteps[0]
    embeddings = pipe.text_encoder(ids(pipe, [NEGATIVE_PROMPT, PROMPT]))[0].detach()
    pipe.unet.forward = lambda sample, *args, **kwargs: forward(torch.cat([sample, condition.expand(len(sample), -1, -1, -1)], 1), *args, **kwargs)
    with torch.no_grad():
        negative, positive = pipe.unet(latents.expand(2, -1, -1, -1), timestep, encoder_hidden_states=embeddings).sample.chunk(2)
    stages = reference.guidance(pipe, latents, timestep, embeddings[1:], (4, 4), [2, 5])
    pipe.unet.forward = forward
    stages = {name: stages[name] for name in ("loss", "gradient")}
    return dict(initial_latents=latents, noise_prediction=negative + 7.5 * (positive - negative), **stages)


def inpainting():
    folder = f"{OUT}/inpainting"
    smooth_image(f"{folder}/init.png", 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[14:41, 20:47] = 255
    mask[30:34, 40:60] = 200
    mask[50:60, 4:14] = 100  # not white: stays
    mask[52:54, 6:8] = 0
    Image.fromarray(mask).save(f"{folder}/mask.png", optimize=True)
    image, mask = Image.open(f"{folder}/init.png"), Image.open(f"{folder}/mask.png")
    nine, four = (pipeline("sd1", StableDiffusionInpaintPipeline) for _ in range(2))
    nine.register_modules(unet=inpainting_unet(f"{folder}/unet"))
    tensors, cases, original = {}, [], nine.scheduler
    for channels, scheduler, strength, padding in INPAINTING:
        pipe = nine if channels == 9 else four
        name = f"{channels}-{scheduler.removesuffix('Scheduler').lower()}-{strength}" + (f"-padding-{padding}" if padding is not None else "")
        pipe.scheduler = reference.scheduler_like(original, scheduler)
        case = dict(name=name, channels=channels, scheduler=scheduler, strength=strength, padding=padding, steps=6, seed=42, guidance_scale=7.5,
                    prompt=PROMPT, negative_prompt=NEGATIVE_PROMPT, timesteps=[])
        seen = {}

        def after(pipe, step, timestep, values):
            case["timesteps"].append(float(timestep))
            seen.update({name: value.clone() for name, value in values.items()})
            return values

        wanted = ["latents", "mask", "masked_image_latents"]
        picture = pipe(PROMPT, image, mask, height=64, width=64, padding_mask_crop=padding, strength=strength, num_inference_steps=6,
                       guidance_scale=7.5, negative_prompt=NEGATIVE_PROMPT, generator=torch.Generator("cpu").manual_seed(42),
                       callback_on_step_end=after, callback_on_step_end_tensor_inputs=wanted).images[0]
        picture.save(f"{folder}/{name}.png", optimize=True)
        tensors[f"{name}/final_latents"] = seen["latents"]
        tensors[f"{name}/mask"] = seen["mask"][:1]
        if channels == 9:
            tensors[f"{name}/masked_image_latents"] = seen["masked_image_latents"][:1]
        if not cases:
            condition = torch.cat([seen["mask"][:1], seen["masked_image_latents"][:1]], 1)
            stages = inpainting_gradient(pipe, condition)
            tensors.update({f"gradient/{key}": value for key, value in stages.items()})
        cases.append(case)
    save("inpainting", cases, tensors)


GROUPS = dict(lora=lora, inversion=inversion, clip_skip=clip_skip, weighting=weighting, img2img=img2img, inpainting=inpainting)


def main():
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or [group for group in GROUPS if group != "weighting" or "LPW" in os.environ]
    if "LPW" not in os.environ:
        print("LPW is not set: convenience weighting is kept")
    for group in wanted:
        shutil.rmtree(f"{OUT}/{group}", ignore_errors=True)
        os.makedirs(f"{OUT}/{group}")
        GROUPS[group]()
        print("convenience", group, flush=True)


if __name__ == "__main__":
    main()
