#!/usr/bin/env python3
"""Fixtures of CLIP with both towers, of the paper's scores, of Pillow's resizing and of the detector.

  python make_vision_fixtures.py --out ../fixtures/vision

Written with transformers 5.24, Pillow 13 and torch 2.15 on the CPU, from pictures and tokenizers of the other fixtures:

  quick_gelu/, gelu/     config.json, preprocessor_config.json and the weights of a small seeded CLIPModel, and
                         expected.safetensors: pixel_values, image_features and text_features. quick_gelu/ is as OpenAI's
                         models were published: eos_token_id 2, old fields, position_ids, a pytorch_model.bin.
                         gelu/ has the real eos_token_id and is as transformers 5 saves it. Their tokenizers are
                         ../clip/sd1 and ../clip/sd2.
  inputs.json            the pictures and the texts of the features, in order
  scores.json            of each of the two models: the scores of the paper's evaluation
  resized.safetensors    pictures as Pillow resizes and cuts them, bytes
  detector.safetensors   the logits of the subjects and their colours, by training/detector.py
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = Path(os.path.abspath(__file__)).parent
ROOT = HERE.parent.parent
FIXTURES = HERE.parent / "fixtures"
TOKENIZERS = {"quick_gelu": "sd1", "gelu": "sd2"}
SPRITES = ["runs/sprites-cat-frog/image.png", "runs/sprites-cat-frog/plain.png", "runs/sprites-lion-car/image.png",
           "runs/sprites-lion-car/plain.png"]
PICTURES = SPRITES + ["runs/sd1-odd-size/image.png", "runs/sd1-ddim-10-landscape/image.png",
                      "runs/sd2-pndm-10-portrait/image.png"]
TEXTS = ["", "a cat and a dog", "A Polar BEAR with red flowers", "a cat<|endoftext|> and a dog", "wow! a cat!",
         "a red cat and a blue dog " * 15]
SCORED = ["a cat and a dog", "a bear with a red bow", "an apple and a yellow crown", "a cat with a bow and a dog", "a bird"]
CAPTIONS = ["a cat sitting on a bench", "two dogs", "a black and white drawing of an apple"]
# Resized to (width, height); None stands for the proportions, the shorter side and the middle, as for CLIP.
RESIZED = [("runs/sd1-odd-size/image.png", 48, None), ("runs/sd1-ddim-10-landscape/image.png", 40, None),
           ("runs/sd2-pndm-10-portrait/image.png", 40, None), ("runs/sprites-lion-car/plain.png", 112, None),
           ("runs/sprites-lion-car/plain.png", 96, 96), ("runs/sd1-odd-size/image.png", 64, 64),
           ("runs/sd2-pndm-10-portrait/image.png", 56, 56)]


def picture(path):
    return Image.open(FIXTURES / path).convert("RGB")


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def small_model(activation, tokenizer):
    common = dict(num_hidden_layers=2, num_attention_heads=4, hidden_act=activation)
    text = dict(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=80, bos_token_id=tokenizer.bos_token_id,
                eos_token_id=2 if activation == "quick_gelu" else tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    vision = dict(hidden_size=40, intermediate_size=72, image_size=32, patch_size=8)
    torch.manual_seed(0 if activation == "gelu" else 1)
    model = CLIPModel(CLIPConfig(text_config=text | common, vision_config=vision | common,
                                 projection_dim=24 if activation == "quick_gelu" else 20)).eval()
    # Wider than the usual initial weights, which leave attention uniform and the activation linear.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = 0.3 * torch.randn(parameter.shape)
            parameter.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
    return model


def write_weights(folder, activation, model):
    weights = {name: weight.detach().contiguous() for name, weight in model.state_dict().items()}
    if activation == "gelu":
        write_json(folder / "config.json", model.config.to_dict())
        write_json(folder / "preprocessor_config.json", dict(
            image_processor_type="CLIPImageProcessor", do_resize=True, size={"shortest_edge": 32}, resample=3, do_center_crop=True,
            crop_size={"height": 32, "width": 32}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True))
        save_file(weights, folder / "model.safetensors")
        return
    # As openai/clip-vit-base-patch16 was published: what is transformers' default is not there.
    text, vision = model.config.text_config, model.config.vision_config
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    write_json(folder / "config.json", dict(
        architectures=["CLIPModel"], model_type="clip", projection_dim=24, logit_scale_init_value=2.6592,
        text_config=dict({size: getattr(text, size) for size in sizes}, vocab_size=text.vocab_size, eos_token_id=2, dropout=0.0),
        vision_config=dict({size: getattr(vision, size) for size in sizes}, image_size=32, patch_size=8, dropout=0.0),
        text_config_dict=None, vision_config_dict=None))
    write_json(folder / "preprocessor_config.json", dict(
        feature_extractor_type="CLIPFeatureExtractor", crop_size=32, size=32, resample=3, do_center_crop=True, do_normalize=True,
        do_resize=True, image_mean=[0.48145466, 0.4578275, 0.40821073], image_std=[0.26862954, 0.26130258, 0.27577711]))
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    weights["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    torch.save(weights, folder / "pytorch_model.bin")


class Clip:
    """What the official scripts use of openai/CLIP."""

    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32)

    def pixel_values(self, paths):
        return torch.cat([self.processor(picture(path), return_tensors="pt")["pixel_values"] for path in paths])

    @torch.no_grad()
    def image_features(self, paths):
        return self.model.get_image_features(self.pixel_values(paths)).pooler_output

    @torch.no_grad()
    def text_features(self, texts):
        ids = self.tokenizer(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        return self.model.get_text_features(ids).pooler_output


def unit(features):
    return features / features.norm(dim=-1, keepdim=True)


def templates():
    """The templates of the crate itself: what is compared is what is made of them."""
    lines = (ROOT / "crates/ae-vision/src/templates.rs").read_text().splitlines()
    found = [line.strip().strip('",') for line in lines if line.startswith('    "')]
    assert len(found) == 80
    return found


def prompt_features(clip, prompt):
    sentences = [template.format(prompt) for template in templates()]
    sentences = [sentence.replace("a a", "a") for sentence in sentences]
    sentences = [sentence.replace("the a", "a") for sentence in sentences]
    return unit(unit(clip.text_features(sentences)).mean(dim=0))


def scores(clip):
    images, captions = unit(clip.image_features(PICTURES)), unit(clip.text_features(CAPTIONS))
    rows = []
    for prompt in SCORED:
        whole = prompt_features(clip, prompt)
        halves = next((prompt.split(by) for by in (" and ", " with ") if by in prompt), None)
        smallest = None
        if halves:
            assert len(halves) == 2
            first, second = (images @ prompt_features(clip, half) for half in halves)
            smallest = torch.minimum(first, second).tolist()
        rows.append(dict(prompt=prompt, full_prompt=(images @ whole).tolist(), minimum_object=smallest,
                         text_text=(captions @ whole).tolist()))
    return rows


def horizontally_first(image, width, height):
    """Every version of Pillow before 13 resizes so; 13 does where it is not slower (python-pillow/Pillow#9549)."""
    return image.resize((width, image.height), Image.BICUBIC).resize((width, height), Image.BICUBIC)


def resized(path, width, height):
    image = picture(path)
    if height is not None:
        return np.array(horizontally_first(image, width, height))
    edge, short = width, min(image.size)
    image = horizontally_first(image, *(edge * side // short for side in image.size))
    left, top = ((side - edge) // 2 for side in image.size)
    return np.array(image.crop((left, top, left + edge, top + edge)))


def detector_logits():
    sys.path.insert(0, str(ROOT / "training"))
    from detector import FoldedDetector
    from pictures import from_pil

    detector = FoldedDetector(ROOT / "assets/detector/detector.safetensors")
    images = [picture(path) for path in SPRITES] + [horizontally_first(picture(PICTURES[4]), 128, 128)]
    subjects, colours = detector(torch.cat([from_pil(image) for image in images]))
    return dict(subjects=subjects, colours=colours.contiguous())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FIXTURES / "vision", help="folder, written anew")
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    all_scores = {}
    for activation, folder in TOKENIZERS.items():
        tokenizer = CLIPTokenizer.from_pretrained(FIXTURES / "clip" / folder)
        model = small_model(activation, tokenizer)
        (out / activation).mkdir()
        write_weights(out / activation, activation, model)
        clip = Clip(model, tokenizer)
        save_file(dict(pixel_values=clip.pixel_values(PICTURES[3:]), image_features=clip.image_features(PICTURES),
                       text_features=clip.text_features(TEXTS)), out / activation / "expected.safetensors")
        all_scores[activation] = scores(clip)
    write_json(out / "inputs.json", dict(pictures=PICTURES, sprites=SPRITES, texts=TEXTS, captions=CAPTIONS, resized=RESIZED))
    write_json(out / "scores.json", all_scores)
    save_file({str(i): torch.from_numpy(resized(*case)).contiguous() for i, case in enumerate(RESIZED)}, out / "resized.safetensors")
    save_file(detector_logits(), out / "detector.safetensors")


if __name__ == "__main__":
    main()
