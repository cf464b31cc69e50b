"""The sprites that sprites.js has rasterised: cut out, tinted, scaled, mirrored."""

import os

import numpy as np
from PIL import Image

from vocabulary import COLOURS, SUBJECTS

VARIANTS = 2
# The variant that the U-Net learns to draw, the more distinct one: of two looks a network of this size makes a mixture.
LOOK = dict.fromkeys(SUBJECTS, 1) | dict.fromkeys("bird horse monkey turtle rabbit balloon bench".split(), 0)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def tint(rgba, colour):
    """Maps luminance to a ramp from a dark shade over the colour to a light one; shading and alpha stay."""
    luminance = rgba[..., :3] @ LUMINANCE / 255
    median = np.median(luminance[rgba[..., 3] > 128])
    value = np.clip(0.5 + (luminance - median) * 0.9, 0, 1)[..., None]
    middle = np.array(COLOURS[colour], np.float32)
    dark, light = middle * 0.35, middle * 0.4 + 255 * 0.6
    if colour == "white":
        dark, light = np.array([165.0] * 3), np.array([255.0] * 3)
    if colour == "black":
        dark, light = np.array([8.0] * 3), np.array([125.0] * 3)
    below = dark + (middle - dark) * (value / 0.5)
    above = middle + (light - middle) * ((value - 0.5) / 0.5)
    return np.concatenate([np.where(value < 0.5, below, above), rgba[..., 3:]], -1).astype(np.float32)


def cut_out(path):
    """The picture of a file without its transparent margin, as float RGBA."""
    image = Image.open(path).convert("RGBA")
    visible = image.getchannel("A").point(lambda alpha: 255 * (alpha > 8))
    return np.asarray(image.crop(visible.getbbox())).astype(np.float32)


class Sprites:
    """The sprites of a folder, two per subject. What was scaled once is kept."""

    def __init__(self, folder):
        if not os.path.exists(os.path.join(folder, "sprites.json")):
            raise SystemExit(f"no sprites in {folder}: run `npm ci && node sprites.js {folder}` first")
        self.originals = {
            subject: [cut_out(os.path.join(folder, f"{subject}_{variant}.png")) for variant in range(VARIANTS)]
            for subject in SUBJECTS
        }
        self.scaled = {}

    def get(self, subject, variant, colour, size, mirrored):
        """A sprite as float RGBA, multiplied by its alpha, with `size` pixels on the longer side."""
        key = (subject, variant, colour, size, mirrored)
        if key not in self.scaled:
            rgba = self.originals[subject][variant]
            if colour:
                rgba = tint(rgba, colour)
            # Scaling after the multiplication keeps the invisible pixels' colour out of the edges.
            rgba = rgba.copy()
            rgba[..., :3] *= rgba[..., 3:] / 255
            height, width = rgba.shape[:2]
            factor = size / max(height, width)
            shape = max(8, round(width * factor)), max(8, round(height * factor))
            channels = [np.asarray(Image.fromarray(rgba[..., c]).resize(shape, Image.LANCZOS)) for c in range(4)]
            picture = np.clip(np.stack(channels, -1), 0, 255)
            self.scaled[key] = picture[:, ::-1] if mirrored else picture
        return self.scaled[key]
