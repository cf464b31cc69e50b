"""Composes the pictures of the training data, and their captions.

    python render.py --count 20000 --seed 0 --tag train

Writes data/images_TAG.npy (uint8, N x 128 x 128 x 3), data/coverage_TAG.npy (uint8, N x 2 x 16 x 16),
data/captions_TAG.json and data/preview_TAG.png below the work folder. The captions are a list with one entry per picture:
caption, asked [[subject, colour or null] ...], shown [[subject, colour or null, [x0, y0, x1, y1]] ...]. The coverage
says how much of every 8x8 pixels belongs to the first and to the second asked subject, 255 for all; 0 where it is not
shown.
"""

import argparse
import random

import numpy as np
from PIL import Image

from captions import random_caption
from files import Work, save_array, save_image, save_json
from sprites import LOOK, VARIANTS, Sprites

SIZE = 128
# The least distance of two sprites' boxes, in pixels, where there is room for it.
GAP = 4
# Pixels between the places of boxes, a pixel of the latents: a sprite has the same latents wherever it is.
GRID = 4
# Lengths of the longer side of a sprite, alone and in pairs.
SIZES = (64, 76), (48, 56)
# Places at which the coverage is known, across and down: the resolution of the U-Net's cross-attention.
PLACES = 16


def random_background(rng):
    """A pale colour, or in half of the pictures a gradient from it to a neighbour."""
    hsv = rng.randrange(256), rng.randrange(15, 80), rng.randrange(190, 232)
    first = np.array(Image.new("HSV", (1, 1), hsv).convert("RGB").getpixel((0, 0)), np.float32)
    if rng.random() < 0.5:
        return np.tile(first, (SIZE, SIZE, 1))
    second = first + np.array([rng.uniform(-38, 22) for _ in range(3)], np.float32)
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32)
    ramp = ramp[:, None, None] if rng.random() < 0.7 else ramp[None, :, None]
    return np.clip(first + (second - first) * np.broadcast_to(ramp, (SIZE, SIZE, 1)), 0, 255)


def overlap(boxes):
    """The area that two boxes share when one is wider by the gap on every side; 0 for a single box."""
    if len(boxes) < 2:
        return 0
    a, b = boxes
    width = min(a[2], b[2]) - max(a[0], b[0]) + GAP
    height = min(a[3], b[3]) - max(a[1], b[1]) + GAP
    return max(0, width) * max(0, height)


def place(rng, layers):
    """Random boxes for the layers: the first of 200 draws that keeps the gap, or else the best of them."""
    best = None
    for _ in range(200):
        boxes = []
        for layer in layers:
            height, width = layer.shape[:2]
            x, y = (rng.randrange(0, SIZE - length + 1, GRID) for length in (width, height))
            boxes.append((x, y, x + width, y + height))
        shared = overlap(boxes)
        if best is None or shared < best[0]:
            best = shared, boxes
        if shared == 0:
            break
    return best[1]


def coverage(layers, boxes):
    """How much of each place shows each layer, in [0, 1]; later layers hide earlier ones."""
    visible = []
    for layer, (x0, y0, x1, y1) in zip(layers, boxes):
        alpha = np.zeros((SIZE, SIZE), np.float32)
        alpha[y0:y1, x0:x1] = layer[..., 3] / 255
        visible = [below * (1 - alpha) for below in visible] + [alpha]
    step = SIZE // PLACES
    return [alpha.reshape(PLACES, step, PLACES, step).mean((1, 3)) for alpha in visible]


def compose(sprites, rng, subjects, both_looks):
    """A picture of the subjects, later ones above earlier ones, their boxes and their coverage."""
    layers = []
    for subject, colour in subjects:
        variant = rng.randrange(VARIANTS) if both_looks else LOOK[subject]
        layers.append(sprites.get(subject, variant, colour, rng.choice(SIZES[len(subjects) - 1]), rng.random() < 0.5))
    boxes = place(rng, layers)
    image = random_background(rng)
    for layer, (x0, y0, x1, y1) in zip(layers, boxes):
        image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - layer[..., 3:] / 255) + layer[..., :3]
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), boxes, coverage(layers, boxes)


def render(sprites, count, seed, single, dropped, held_out=False, both_looks=False):
    """`count` pictures, their coverage and what else is to be known of each.

    The first pictures of a seed do not depend on `count`.

    `single` is the share of captions with one subject, `dropped` the share of those with two whose picture shows only
    one of them, which is what teaches the model to neglect a subject. With `both_looks` subjects are drawn as either of
    their two sprites, else as the one that the U-Net learns.
    """
    rng = random.Random(seed)
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    covered = np.zeros((count, 2, PLACES, PLACES), np.uint8)
    entries = []
    for i in range(count):
        caption, asked = random_caption(rng, single, held_out)
        shown = list(asked)
        if len(shown) == 2 and rng.random() < dropped:
            shown = [shown[rng.randrange(2)]]
        elif len(shown) == 2 and rng.random() < 0.5:
            shown = shown[::-1]
        images[i], boxes, visible = compose(sprites, rng, shown, both_looks)
        for subject, places in zip(shown, visible):
            covered[i, asked.index(subject)] = np.rint(places * 255)
        shown = [[subject, colour, list(box)] for (subject, colour), box in zip(shown, boxes)]
        entries.append({"caption": caption, "asked": asked, "shown": shown})
    return images, covered, entries


def preview(images, columns=8, rows=6):
    """The first pictures as one."""
    return np.concatenate(
        [np.concatenate(list(images[row * columns : (row + 1) * columns]), 1) for row in range(rows)], 0
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--count", type=int, default=20000, help="number of pictures, 48 at least (default 20000)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default 0)")
    parser.add_argument("--tag", default="train", help="name of this set of pictures (default train)")
    parser.add_argument("--single", type=float, default=0.45, help="share of captions with one subject (default 0.45)")
    parser.add_argument(
        "--dropped", type=float, default=0.35, help="share of two-subject pictures that show only one (default 0.35)"
    )
    parser.add_argument("--both-looks", action="store_true", help="both sprites of a subject, not only one")
    options = parser.parse_args()
    if options.count < 48:
        parser.error("--count must be 48 or more")
    work = Work(options.work)
    sprites = Sprites(work.sprites)
    shares = options.single, options.dropped
    images, covered, entries = render(sprites, options.count, options.seed, *shares, both_looks=options.both_looks)
    save_image(Image.fromarray(preview(images)), work.data(f"preview_{options.tag}.png"))
    save_json(entries, work.captions(options.tag))
    save_array(covered, work.coverage(options.tag))
    save_array(images, work.images(options.tag))
    print(f"{len(images)} pictures, {len({entry['caption'] for entry in entries})} different captions")


if __name__ == "__main__":
    main()
