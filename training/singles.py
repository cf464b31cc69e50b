"""How often a single subject is drawn when it is asked for: what pairs can reach at most.

python singles.py
"""

import argparse
import os

import torch

from detector import FoldedDetector
from evaluate import open_pipelines
from files import Work
from parallel import autocast, limit_threads
from pictures import from_pil
from vocabulary import ANIMALS, COLOUR_NAMES, OBJECTS, SUBJECTS, phrase


def asked_subjects(seed):
    """All subjects; the objects with a colour that changes with the seed."""
    colours = [COLOUR_NAMES[(i * 3 + seed * 5) % len(COLOUR_NAMES)] for i in range(len(SUBJECTS))]
    return [(subject, None if subject in ANIMALS else colour) for subject, colour in zip(SUBJECTS, colours)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--model", help="the model folder (default: export below the work folder)")
    parser.add_argument("--detector", help="the detector's file (default: detector/detector.safetensors there)")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds (default 2)")
    parser.add_argument("--steps", type=int, default=30, help="denoising steps (default 30)")
    parser.add_argument("--guidance", type=float, default=5.0, help="guidance scale (default 5)")
    options = parser.parse_args()
    limit_threads()
    work = Work(options.work)
    pipeline = open_pipelines(options.model or work.export)["plain"]
    detector = FoldedDetector(options.detector or os.path.join(work.detector, "detector.safetensors"))
    found, right = {subject: 0 for subject in SUBJECTS}, 0
    for seed in range(options.seeds):
        subjects = asked_subjects(seed)
        generator = torch.Generator().manual_seed(seed)
        settings = dict(num_inference_steps=options.steps, guidance_scale=options.guidance, generator=generator)
        with autocast():
            images = pipeline([phrase(*subject) for subject in subjects], **settings).images
        logits, colours = detector(torch.cat([from_pil(image) for image in images]))
        for i, (subject, colour) in enumerate(subjects):
            found[subject] += int(logits[i, i] > 0)
            right += colour is not None and COLOUR_NAMES[int(colours[i, i].argmax())] == colour
    for name, group in (("animals", ANIMALS), ("objects", OBJECTS)):
        print(f"{name}: {sum(found[subject] for subject in group)}/{len(group) * options.seeds}")
    print(f"colours right: {right}/{len(OBJECTS) * options.seeds}")
    print(", ".join(f"{subject} {count}" for subject, count in found.items()))


if __name__ == "__main__":
    main()
