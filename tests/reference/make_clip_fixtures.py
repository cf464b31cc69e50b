#!/usr/bin/env python3
"""Fixtures of the CLIP tokenizer and text model, from Hugging Face transformers.

  python make_clip_fixtures.py

Written with transformers 5.23 and torch 2.15 on the CPU:

  sd1/                 vocab.json, merges.txt, tokenizer_config.json: pads with <|endoftext|>
  sd2/                 the same vocabulary with the special_tokens_map.json of Stable Diffusion 2: pads with "!"
  saved/               tokenizer.json and tokenizer_config.json as transformers 5 saves them
  token_ids.json       the prompts and, per folder above, their 77 token ids
  quick_gelu/, gelu/   config.json, model.safetensors and hidden_states.safetensors of a small seeded text model:
                       input_ids [n, 77] and last_hidden_state [n, 77, hidden]. quick_gelu/ has the key layout of
                       transformers 4 (text_model. in front, and position_ids), gelu/ that of transformers 5 in float16
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WORDS = (
    "a an and with the of in on cat dog bird bear lion horse polar flowers "
    "backpack glasses crown balloon bow red orange yellow green blue black white 's"
).split()

# 80 words of one token each, for 75 places.
LONG = " ".join(["a red cat and a blue dog"] * 11) + " with a horse"

PROMPTS = [
    "",
    " ",
    "a",
    "a cat and a dog",
    "A Cat AND a DOG",
    "a  cat\tand\n a dog ",
    "a cat, and a dog!",
    "!",
    "wow!! a cat!",
    "a cat's dog",
    "the cat's, the dog's and the horse's bow",
    "don't we'll they've I'm you're he'd it's",
    "rock'n'roll o'clock 'tis",
    "polar bear with red flowers",
    "a zebra and a chameleon",
    "supercalifragilisticexpialidocious",
    "a t-shirt, a teddy-bear",
    "cat/dog|bird_bear",
    "cat2 2024 3.14 50mm f/1.8",
    "(a cat:1.3) [dog] {bird}",
    "<|endoftext|>",
    "<|startoftext|>a cat<|endoftext|> and a dog",
    "<|STARTOFTEXT|> a cat <|EndOfText|>",
    "< |endoftext| > <|endoftext",
    "caf\u00e9 na\u00efve \u00fcber",
    "cafe\u0301 nai\u0308ve u\u0308ber",
    "\u00c5NGSTR\u00d6M \u0130STANBUL stra\u00dfe",
    "\U0001f600 a cat \U0001f431\u200d\U0001f464 \U0001f1eb\U0001f1f7",
    "\u2764\ufe0f\U0001f44d\U0001f3fd",
    "\u732b\u3068\u72ac",
    "\u043a\u043e\u0442 \u0438 \u0441\u043e\u0431\u0430\u043a\u0430",
    "\u092c\u093f\u0932\u094d\u0932\u0940",
    "\u0642\u0637\u0629 \u0648\u0643\u0644\u0628",
    "a\u00a0cat\u2003and\u3000a dog",
    "a cat\u0000and\u0000a dog",
    "\u0000",
    "\u0001\u0002\u007f\u0085\u2028\u200b\ufeff",
    "\u2013 \u2014 \u2026 \u201ccat\u201d \u2018dog\u2019 dog\u2019s",
    "\u00bd \u2460 \u2167 x\u00b2 H\u2082O",
    "\ufb01sh \u017f \u212b",
    "\\ / \" ' ` ~ @ # $ % ^ & * + =",
    "</w> cat</w> ##cat",
    "a red " * 60 + "cat",
    LONG,
    "x" * 300,
    "\U0001f600" * 40,
]

# The prompts whose hidden states are kept.
MODEL_PROMPTS = [
    "",
    "a cat and a dog",
    "A Cat AND a DOG",
    "(a cat:1.3) [dog] {bird}",
    "the cat's, the dog's and the horse's bow",
    "caf\u00e9 na\u00efve \u00fcber",
    "\U0001f600 a cat \U0001f431\u200d\U0001f464 \U0001f1eb\U0001f1f7",
    "a cat\u0000and\u0000a dog",
    LONG,
]


def byte_characters():
    """The 256 printable characters that stand for the bytes, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1), *range(ord("\u00ae"), 256)]
    others = (byte for byte in range(256) if byte not in printable)
    return [chr(byte) for byte in printable] + [chr(256 + n) for n, _ in enumerate(others)]


def write_tokenizer(folder):
    """A byte-level BPE with CLIP's layout, in which every word of WORDS is one token."""
    folder.mkdir(parents=True)
    characters = byte_characters()
    vocab = characters + [c + "</w>" for c in characters]
    merges = []
    for word in WORDS:
        right = word[-1] + "</w>"
        for left in reversed(word[:-1]):
            if (left, right) not in merges:
                merges.append((left, right))
            right = left + right
            if right not in vocab:
                vocab.append(right)
    vocab += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: i for i, token in enumerate(vocab)}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": 77,
            "bos_token": "<|startoftext|>",
            "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
        },
    )


def write_special_tokens_map(folder):
    def token(content):
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    write_json(
        folder / "special_tokens_map.json",
        {
            "bos_token": token("<|startoftext|>"),
            "eos_token": token("<|endoftext|>"),
            "unk_token": token("<|endoftext|>"),
            "pad_token": "!",
        },
    )


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def write_tokenizers(out):
    write_tokenizer(out / "sd1")
    shutil.copytree(out / "sd1", out / "sd2")
    write_special_tokens_map(out / "sd2")
    CLIPTokenizer.from_pretrained(out / "sd1").save_pretrained(out / "saved")

    def ids(folder):
        tokenizer = CLIPTokenizer.from_pretrained(out / folder)
        encoded = tokenizer(PROMPTS, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
        return encoded.input_ids

    ids = {folder: ids(folder) for folder in ("sd1", "sd2", "saved")}
    table = json.dumps({"prompts": PROMPTS, "ids": ids})
    (out / "token_ids.json").write_text(table.replace("]], ", "]],\n ").replace("], [", "],\n [") + "\n")


@torch.no_grad()
def write_text_model(folder, tokenizer, activation):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        hidden_act=activation,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = CLIPTextModel(config).eval()
    # Wider than the usual initial weights, which leave attention uniform and the activation linear.
    for name, parameter in model.named_parameters():
        noise = 0.4 * torch.randn(parameter.shape)
        parameter.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
    if activation == "gelu":
        model.half().float()
    input_ids = tokenizer(
        MODEL_PROMPTS, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    ).input_ids
    hidden = model(input_ids)[0]

    folder.mkdir(parents=True)
    config.architectures = ["CLIPTextModel"]
    write_json(folder / "config.json", config.to_dict())
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if activation == "gelu":
        weights = {name: tensor.half() for name, tensor in weights.items()}
    else:
        weights = {"text_model." + name: tensor for name, tensor in weights.items()}
        weights["text_model.embeddings.position_ids"] = torch.arange(77).reshape(1, 77)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_file({"input_ids": input_ids, "last_hidden_state": hidden}, folder / "hidden_states.safetensors")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "../fixtures/clip", help="folder to write; what it held is replaced")
    out = arguments.parse_args().out
    torch.set_num_threads(1)
    shutil.rmtree(out, ignore_errors=True)
    write_tokenizers(out)
    tokenizer = CLIPTokenizer.from_pretrained(out / "sd1")
    for activation in ("quick_gelu", "gelu"):
        write_text_model(out / activation, tokenizer, activation)


if __name__ == "__main__":
    main()
