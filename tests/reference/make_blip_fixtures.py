#!/usr/bin/env python3
"""Fixtures of the BLIP captioner, from Hugging Face transformers.

  python make_blip_fixtures.py --out ../fixtures/blip

LAVIS runs on transformers before 4.27. What its beam search finds is written only with OLD_TRANSFORMERS=FOLDER, where
  pip install --no-deps --target FOLDER transformers==4.26.1 tokenizers==0.13.3 huggingface_hub==0.16.4
has been; else the files stay as they are.

Written with transformers 5.24 and torch 2.15 on the CPU. Two small seeded models, a few steps trained towards sentences:

  tied/    as transformers 5 saves it: model.safetensors without the output weights, tokenizer.json
  own/     as transformers 4 did: pytorch_model.bin with output weights of its own and position_ids, vocab.txt, a config.json
           without the fields that have their default values

Each with reference.safetensors: pictures [n, rows, columns, 3] in u8, pixel_values, image_embeds, the forced input_ids and
their logits; and captions.json: for every set of options the ids without padding, and the texts behind the prompt as LAVIS
cuts them, and captions_before_4.27.json, the same by the older beam search.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = (
    "a an the picture photo painting of and with in on under near behind two three many small large old young red green blue "
    "yellow white black brown cat dog bird bear lion horse frog turtle monkey rabbit elephant mouse rat car bench chair "
    "clock bow crown balloon apple backpack suitcase bowl glasses table street field grass water sky tree flower house room "
    "window wall door bed floor man woman child person people sitting standing lying running walking playing holding "
    "wearing looking eating sleeping flying front top side next to it its that is are was there some other each while"
).split()
PIECES = "##s ##ing ##ed ##er ##ly ##y ##n ##t ##es ##ful ##ness ##like ##le ##ish ##est".split()
MARKS = list(". , ! ? ' - s t m".split())
PROMPT = "a picture of "
OPTIONS = [
    dict(num_beams=3, max_length=30, min_length=10),
    dict(num_beams=1, max_length=30, min_length=10),
    dict(num_beams=5, max_length=30, min_length=10),
    dict(num_beams=1, max_length=30, min_length=0),
    dict(num_beams=3, max_length=30, min_length=0),
    dict(num_beams=5, max_length=9, min_length=6),
    dict(num_beams=2, max_length=18, min_length=17),
    dict(num_beams=4, max_length=5, min_length=5),
    dict(num_beams=3, max_length=20, min_length=5, prompt=""),
]
PICTURES = 10
STEPS = dict(tied=60, own=100)


def vocabulary():
    tokens = [*SPECIAL, *dict.fromkeys(WORDS), *PIECES, *MARKS]
    return tokens, {token: id for id, token in enumerate(tokens)}


def build(variant, tokens, ids):
    """A model whose captions are neither all alike nor a repetition of one word."""
    tied = variant == "tied"
    config = BlipConfig(
        vision_config=dict(
            hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8,
            layer_norm_eps=1e-5 if tied else 1e-6,
        ),
        text_config=dict(
            # [DEC] and [ENC] are ids beyond the tokenizer's, as in Salesforce's files.
            vocab_size=len(tokens) + 2, bos_token_id=len(tokens), sep_token_id=ids["[SEP]"], hidden_size=32,
            intermediate_size=64, num_hidden_layers=2, num_attention_heads=2 if tied else 8, max_position_embeddings=64,
        ),
    )
    torch.manual_seed(0 if tied else 1)
    model = BlipForConditionalGeneration(config).eval()
    if not tied:
        # No longer the word embeddings.
        head = model.text_decoder.cls.predictions
        head.decoder.weight = torch.nn.Parameter(head.decoder.weight.detach().clone())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape)
            is_scale = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(1 + 0.2 * noise if is_scale else (0.3 if name.startswith("vision_model") else 0.2) * noise)
    return model


def train(model, tokenizer, pixels, steps):
    """Some steps towards sentences, so that captions are not one word again and again. They end early enough for several
    sentences to compete."""
    rows = [(picture, text) for picture in range(len(pixels)) for text in sentences(picture)]
    tokens = tokenizer([PROMPT + text for _, text in rows], return_tensors="pt", padding=True)
    input_ids = tokens.input_ids.clone()
    input_ids[:, 0] = model.config.text_config.bos_token_id
    labels = input_ids.masked_fill(tokens.attention_mask == 0, -100)
    rows = pixels[[picture for picture, _ in rows]]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(pixel_values=rows, input_ids=input_ids, attention_mask=tokens.attention_mask, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


def sentences(picture):
    """What may be said of a picture, short and long."""
    random = np.random.default_rng(picture)
    word = lambda first, count: tokens_from(first, count)[random.integers(count)]
    size, colour, animal = (lambda: word("small", 5)), (lambda: word("red", 8)), (lambda: word("cat", 12))
    thing, place = (lambda: word("car", 12)), (lambda: word("table", 14))
    doing, where = (lambda: word("sitting", 11)), (lambda: word("in", 5))
    yield f"a {animal()}"
    yield f"a {colour()} {animal()} and a {size()} {thing()}"
    yield f"two {animal()}s {doing()} {where()} the {place()}, next to a {thing()}"
    if picture % 3 == 0:
        there = ", ".join(f"a {size()} {colour()} {thing()}" for _ in range(8))
        yield f"the {animal()}'s {place()} with {there}."


def tokens_from(first, count):
    return WORDS[WORDS.index(first) :][:count]


def pictures():
    """Noise of several grains, each of one size."""
    random = np.random.default_rng(1)
    made = []
    for number in range(PICTURES):
        grain = 2 + number % 4
        small = random.integers(0, 256, (grain, grain + 1, 3), dtype=np.uint8)
        made.append(np.asarray(Image.fromarray(small).resize((36, 28), Image.Resampling.BILINEAR)))
    return np.stack(made)


def image_processor(size):
    return BlipImageProcessorPil(size=dict(height=size, width=size))


def pixel_values(size):
    return image_processor(size)([Image.fromarray(image) for image in pictures()], return_tensors="pt").pixel_values


@torch.no_grad()
def record(folder, model, tokenizer):
    pixels = pixel_values(model.config.vision_config.image_size)
    embeds = model.vision_model(pixels).last_hidden_state
    forced = tokenizer(["a picture of a cat and two dogs", "an old painting, that is it"], return_tensors="pt", padding=True)
    forced = forced.input_ids[:, :8].contiguous()
    forced[:, 0] = model.config.text_config.bos_token_id
    logits = model.text_decoder(forced, encoder_hidden_states=embeds[:2]).logits
    tensors = dict(
        pictures=torch.from_numpy(pictures()), pixel_values=pixels, image_embeds=embeds, input_ids=forced, logits=logits
    )
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "reference.safetensors")

    cases = []
    for options in OPTIONS:
        options = dict(options)
        prompt = options.pop("prompt", PROMPT)
        prompt_ids = tokenizer([prompt] * len(pixels), return_tensors="pt").input_ids
        generated = model.generate(pixel_values=pixels, input_ids=prompt_ids, do_sample=False, **options)
        start, end = prompt_ids.shape[1] - 1, model.config.text_config.sep_token_id
        captions = [unpadded(row.tolist(), start, end) for row in generated]
        texts = [text[len(prompt):] for text in tokenizer.batch_decode(captions, skip_special_tokens=True)]
        cases.append(dict(prompt=prompt, **options, ids=captions, texts=texts))
    (folder / "captions.json").write_text(dump_cases(cases), encoding="utf-8")
    return cases


def unpadded(ids, start, end):
    """Up to the end token; what follows is padding, for which beam search takes the end token where the pad is id 0."""
    return ids[: ids.index(end, start) + 1] if end in ids[start:] else ids


def check(models):
    """The captions are worth comparing: of all lengths, and other ones with other options."""
    default, greedy, wide, _, unbound = zip(*(cases[:5] for cases in models))
    lengths = [len(ids) for case in default for ids in case["ids"]]
    assert min(lengths) < default[0]["max_length"] <= max(lengths), lengths
    for others, what in ((greedy, "one beam"), (wide, "five beams"), (unbound, "min_length")):
        assert any(case["ids"] != other["ids"] for case, other in zip(default, others)), f"{what} changes nothing"
    for case in default:
        assert len(set(case["texts"])) == PICTURES, case["texts"]


def dump_cases(cases):
    return json.dumps(cases).replace("}, {", "},\n {").replace("]], ", "]],\n  ").replace("], [", "],\n   [") + "\n"


def write(out, variant):
    folder = out / variant
    folder.mkdir(parents=True, exist_ok=True)
    tokens, ids = vocabulary()
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer.from_pretrained(folder, clean_up_tokenization_spaces=True)
    model = train(build(variant, tokens, ids), tokenizer, pixel_values(32), STEPS[variant])
    if variant == "tied":
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "vocab.txt").unlink()
        (folder / "generation_config.json").unlink(missing_ok=True)
    else:
        write_as_transformers_4(folder, model)
    image_processor(model.config.vision_config.image_size).save_pretrained(folder)
    return record(folder, model, tokenizer)


def write_as_transformers_4(folder, model):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    positions = model.config.text_config.max_position_embeddings
    state["text_decoder.bert.embeddings.position_ids"] = torch.arange(positions).reshape(1, positions)
    torch.save(state, folder / "pytorch_model.bin")
    config = dict(architectures=["BlipForConditionalGeneration"], model_type="blip", torch_dtype="float32")
    for part in ("vision_config", "text_config"):
        chosen = getattr(model.config, part)
        default = type(chosen)().to_dict()
        config[part] = {name: value for name, value in chosen.to_dict().items() if default.get(name) != value}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / ".." / "fixtures" / "blip"
    arguments.add_argument("--out", type=Path, default=default, help="folder to write; what it held is replaced")
    out = arguments.parse_args().out
    torch.set_num_threads(1)
    old = os.environ.get("OLD_TRANSFORMERS")
    for file in out.glob("*/*"):
        if old or file.name != "captions_before_4.27.json":
            file.unlink()
    check([write(out, variant) for variant in STEPS])
    if old:
        script = Path(__file__).parent / "blip_before_4_27.py"
        subprocess.run([sys.executable, script, out], env={**os.environ, "PYTHONPATH": old}, check=True)


if __name__ == "__main__":
    main()
