"""Writes the model folder: tokenizer, text encoder, VAE and the U-Net's moving average, float16, as diffusers reads it.

    python export.py

Reads model/ and checkpoints/unet.pt below the work folder, writes export/ there.
"""

import argparse
import os
import shutil

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

import unet
import vocabulary
from files import Work, save_folder
from vae import open_vae


def open_unet(checkpoint):
    """The moving average of a checkpoint, which draws better than the weights of its last step."""
    state = torch.load(checkpoint)
    network = UNet2DConditionModel(**state["cfg"])
    network.load_state_dict(state["ema"])
    return network.eval()


def open_training(work):
    """The pipeline of what is trained so far, in float32."""
    return StableDiffusionPipeline(
        vae=open_vae(work.vae).eval(),
        text_encoder=CLIPTextModel.from_pretrained(work.text_encoder, dtype=torch.float32).eval(),
        tokenizer=CLIPTokenizer.from_pretrained(work.tokenizer),
        unet=open_unet(work.checkpoint("unet")),
        scheduler=unet.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    work = Work(parser.parse_args().work)
    pipeline = open_training(work).to(torch.float16)

    def write(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)
        # transformers 5 writes tokenizer.json only; these are the files of Stable Diffusion 1.
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
            shutil.copy(os.path.join(work.tokenizer, name), os.path.join(folder, "tokenizer", name))
        with open(os.path.join(folder, "vocabulary.json"), "w") as file:
            file.write(vocabulary.as_json())

    save_folder(work.export, write)
    print(f"wrote {work.export}")


if __name__ == "__main__":
    main()
