"""Captions by the beam search of transformers before 4.27, on which LAVIS runs: `make_blip_fixtures.py` calls this with
transformers 4.26.1 on the PYTHONPATH."""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration

DECODER, EMBEDDINGS = "text_decoder.cls.predictions.decoder", "text_decoder.bert.embeddings.word_embeddings"


def load(folder):
    if (folder / "model.safetensors").exists():
        state = load_file(folder / "model.safetensors")
        state[f"{DECODER}.weight"] = state[f"{EMBEDDINGS}.weight"]
        state[f"{DECODER}.bias"] = state["text_decoder.cls.predictions.bias"]
    else:
        state = torch.load(folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    model = BlipForConditionalGeneration(BlipConfig(text_config=config["text_config"], vision_config=config["vision_config"]))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert all(name.endswith("position_ids") for name in missing + unexpected), (missing, unexpected)
    return model.eval()


@torch.no_grad()
def main(out):
    assert transformers.__version__.startswith("4.26."), transformers.__version__
    torch.set_num_threads(1)
    tokenizer = BertTokenizer(out / "own" / "vocab.txt")
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})  # as LAVIS does
    for folder in (out / "tied", out / "own"):
        model, pixels = load(folder), load_file(folder / "reference.safetensors")["pixel_values"]
        cases = []
        for case in json.loads((folder / "captions.json").read_text()):
            options = {name: case[name] for name in ("num_beams", "max_length", "min_length")}
            prompt_ids = tokenizer([case["prompt"]] * len(pixels), return_tensors="pt").input_ids
            generated = generate(model, pixels, prompt_ids, options)
            start, end = prompt_ids.shape[1] - 1, model.config.text_config.sep_token_id
            captions = [unpadded(row.tolist(), start, end) for row in generated]
            texts = [text[len(case["prompt"]) :] for text in tokenizer.batch_decode(captions, skip_special_tokens=True)]
            cases.append(dict(prompt=case["prompt"], **options, ids=captions, texts=texts))
        text = json.dumps(cases).replace("}, {", "},\n {").replace("]], ", "]],\n  ").replace("], [", "],\n   [")
        (folder / "captions_before_4.27.json").write_text(text + "\n", encoding="utf-8")


def generate(model, pixels, prompt_ids, options):
    """As `generate_from_encoder` of LAVIS (`lavis/models/med.py`): this transformers' own BLIP forgets to repeat the pictures
    for their beams."""
    config = model.config.text_config
    prompt_ids[:, 0] = config.bos_token_id
    embeds = model.vision_model(pixels).last_hidden_state.repeat_interleave(options["num_beams"], dim=0)
    return model.text_decoder.generate(
        input_ids=prompt_ids[:, :-1], eos_token_id=config.sep_token_id, pad_token_id=config.pad_token_id,
        encoder_hidden_states=embeds, encoder_attention_mask=torch.ones(embeds.shape[:-1], dtype=torch.long), **options,
    )


def unpadded(ids, start, end):
    """Up to the end token, or to the padding where there is none."""
    if end in ids[start:]:
        return ids[: ids.index(end, start) + 1]
    while ids[-1] == 0:
        ids.pop()
    return ids


main(Path(sys.argv[1]))
