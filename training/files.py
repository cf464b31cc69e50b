"""Where the training keeps its files, and writing them whole or not at all."""

import json
import os
import shutil

import numpy as np
import torch


class Work:
    """The paths below the work folder."""

    def __init__(self, root):
        self.root = root
        self.sprites = os.path.join(root, "sprites")
        self.model = os.path.join(root, "model")
        self.tokenizer = os.path.join(self.model, "tokenizer")
        self.text_encoder = os.path.join(self.model, "text_encoder")
        self.vae = os.path.join(self.model, "vae")
        self.detector = os.path.join(root, "detector")
        self.export = os.path.join(root, "export")
        self.samples = os.path.join(root, "samples")

    @staticmethod
    def add_option(parser):
        parser.add_argument("--work", default="work", help="the work folder (default: work)")

    def data(self, name):
        return os.path.join(self.root, "data", name)

    def images(self, tag):
        return self.data(f"images_{tag}.npy")

    def coverage(self, tag):
        return self.data(f"coverage_{tag}.npy")

    def captions(self, tag):
        return self.data(f"captions_{tag}.json")

    def latents(self, tag):
        return self.data(f"latents_{tag}.npy")

    def checkpoint(self, name):
        return os.path.join(self.root, "checkpoints", f"{name}.pt")


def write_whole(path, write):
    """Calls `write` with a temporary path beside `path` and renames it: `path` is never seen half written."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.tmp"
    write(temporary)
    os.replace(temporary, path)


def save_json(value, path):
    def write(temporary):
        with open(temporary, "w") as file:
            json.dump(value, file, indent=1)

    write_whole(path, write)


def load_json(path):
    with open(path) as file:
        return json.load(file)


def save_array(array, path):
    def write(temporary):
        # An open file, because numpy appends .npy to a name.
        with open(temporary, "wb") as file:
            np.save(file, array)

    write_whole(path, write)


def save_checkpoint(state, path):
    write_whole(path, lambda temporary: torch.save(state, temporary))


def save_image(image, path):
    write_whole(path, lambda temporary: image.save(temporary, "PNG"))


def save_folder(path, write):
    """The same for a folder, in place of the one that is there."""
    temporary, old = f"{path}.tmp", f"{path}.old"
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(temporary)
    write(temporary)
    if os.path.exists(path):
        os.rename(path, old)
    os.rename(temporary, path)
    shutil.rmtree(old, ignore_errors=True)


def load_json_lines(path):
    """The whole lines of a file of JSON, none without a file; a line cut off by an interruption is left out."""
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]
