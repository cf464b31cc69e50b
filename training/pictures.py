"""Between pictures as bytes and as tensors, and grids of them."""

import numpy as np
import torch
from PIL import Image, ImageDraw


def to_tensor(images):
    """uint8, N x H x W x 3, to float in [-1, 1], N x 3 x H x W."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def from_pil(image):
    """A PIL image as a batch of one."""
    return to_tensor(np.asarray(image.convert("RGB"))[None])


def to_bytes(tensor):
    return (tensor.clamp(-1, 1) * 127.5 + 128).byte().permute(0, 2, 3, 1).numpy()


def psnr(decoded, images):
    """The mean over pictures, in decibel."""
    return float((-10 * (((decoded.clamp(-1, 1) - images) ** 2).mean((1, 2, 3)) / 4).log10()).mean())


def labelled_grid(images, labels, columns=8):
    """Pictures of 128 pixels with a line of text above each."""
    rows = -(-len(images) // columns)
    grid = Image.new("RGB", (columns * 132, rows * 146), "white")
    draw = ImageDraw.Draw(grid)
    for i, (image, label) in enumerate(zip(images, labels)):
        x, y = i % columns * 132, i // columns * 146
        grid.paste(image, (x, y + 14))
        draw.text((x, y), label[:24], fill="black")
    return grid
