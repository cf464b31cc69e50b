"""Draws pairs of subjects plainly and with Attend-and-Excite, from the same noise, and counts what the detector finds.

    for part in 0 1; do python evaluate.py --part $part --parts 2 & done; wait
    python report.py

Both pipelines are diffusers'. One line of JSON per picture is added to samples/NAME/results_PART.jsonl below the work
folder, and the picture beside it; pictures whose line is there are not drawn again.
"""

import argparse
import json
import os
import time

import torch
from diffusers import StableDiffusionAttendAndExcitePipeline, StableDiffusionPipeline

from captions import HELD_OUT
from detector import FoldedDetector
from files import Work, load_json_lines, save_image
from parallel import limit_threads
from pictures import from_pil
from vocabulary import COLOUR_NAMES, SUBJECTS, subject_positions, subjects_of

# Pairs that no training caption has, and pairs that training captions may have.
HELD_OUT_PROMPTS = [
    "a cat and a lion",
    "a dog and a bear",
    "a bird and a frog",
    "a horse and a monkey",
    "a rabbit and a mouse",
    "a turtle and a mouse",
    "an elephant and a turtle",
    "a bear and a rabbit",
    "a bird and an elephant",
    "a lion and a monkey",
    "a frog and a rabbit",
    "a dog and a lion",
]
SEEN_PROMPTS = [
    "a cat and a dog",
    "a cat and a frog",
    "a lion and an elephant",
    "a bird and a turtle",
    "a cat with a red bow",
    "a bear and a purple balloon",
    "a frog and a yellow crown",
    "a rabbit with blue glasses",
    "a green backpack and a purple chair",
    "a red car and a white bench",
    "an elephant and a green apple",
    "a pink bowl and a brown clock",
]
PROMPTS = HELD_OUT_PROMPTS + SEEN_PROMPTS
THRESHOLDS = {"0": 0.05, "10": 0.5, "20": 0.8}


def is_held_out(prompt):
    return frozenset(subject for subject, _ in subjects_of(prompt)) in HELD_OUT


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--model", help="the model folder (default: export below the work folder)")
    parser.add_argument("--detector", help="the detector's file (default: detector/detector.safetensors there)")
    parser.add_argument("--name", default="main", help="of this evaluation (default main)")
    parser.add_argument("--prompts", nargs="+", default=PROMPTS, help="what to draw (default: 24 pairs)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds (default 2)")
    parser.add_argument("--steps", type=int, default=50, help="denoising steps (default 50)")
    parser.add_argument("--guidance", type=float, default=5.0, help="guidance scale (default 5)")
    parser.add_argument("--scale-factor", type=float, default=5.0, help="Attend-and-Excite's (default 5)")
    parser.add_argument("--thresholds", type=json.loads, default=THRESHOLDS, help="refinement, step to share, as JSON")
    parser.add_argument("--part", type=int, default=0, help="which part of the work to do (default 0)")
    parser.add_argument("--parts", type=int, default=1, help="parts of the work, one process each (default 1)")
    return parser.parse_args()


def open_pipelines(model):
    kinds = {"plain": StableDiffusionPipeline, "guided": StableDiffusionAttendAndExcitePipeline}
    pipelines = {}
    for kind, pipeline in kinds.items():
        pipelines[kind] = pipeline.from_pretrained(model, safety_checker=None, dtype=torch.float32)
        pipelines[kind].set_progress_bar_config(disable=True)
    return pipelines


def draw(pipelines, kind, prompt, seed, options):
    settings = dict(num_inference_steps=options.steps, guidance_scale=options.guidance)
    if kind == "guided":
        settings |= dict(
            token_indices=subject_positions(prompt), attn_res=(16, 16), max_iter_to_alter=options.steps // 2
        )
        settings |= dict(scale_factor=options.scale_factor)
        settings |= dict(thresholds={int(step): share for step, share in options.thresholds.items()})
    return pipelines[kind](prompt, generator=torch.Generator().manual_seed(seed), **settings).images[0]


def detect(detector, image, prompt):
    """Per asked subject its logit, the colour asked for and the one found; and the subjects nobody asked for."""
    logits, colours = (part[0] for part in detector(from_pil(image)))
    subjects = {}
    for subject, colour in subjects_of(prompt):
        k = SUBJECTS.index(subject)
        found = COLOUR_NAMES[int(colours[k].argmax())]
        subjects[subject] = {"logit": round(float(logits[k]), 2), "asked": colour, "found": found}
    others = [name for name, logit in zip(SUBJECTS, logits) if logit > 0 and name not in subjects]
    return subjects, others


def main():
    options = parse()
    limit_threads()
    work = Work(options.work)
    pipelines = open_pipelines(options.model or work.export)
    detector = FoldedDetector(options.detector or os.path.join(work.detector, "detector.safetensors"))
    folder = os.path.join(work.samples, options.name)
    os.makedirs(folder, exist_ok=True)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    jobs = [(kind, prompt, seed) for seed in seeds for prompt in options.prompts for kind in ("plain", "guided")]
    path = os.path.join(folder, f"results_{options.part}.jsonl")
    done = {(row["kind"], row["prompt"], row["seed"]) for row in load_json_lines(path)}
    with open(path, "a") as file:
        for kind, prompt, seed in jobs[options.part :: options.parts]:
            if (kind, prompt, seed) in done:
                continue
            start = time.time()
            image = draw(pipelines, kind, prompt, seed, options)
            seconds = round(time.time() - start, 2)
            save_image(image, os.path.join(folder, f"{prompt.replace(' ', '_')}_{seed}_{kind}.png"))
            subjects, others = detect(detector, image, prompt)
            row = {"prompt": prompt, "seed": seed, "kind": kind, "held_out": is_held_out(prompt), "seconds": seconds}
            print(json.dumps(row | {"subjects": subjects, "others": others}), file=file, flush=True)
            shown = sum(subject["logit"] > 0 for subject in subjects.values())
            print(f"{kind}, {prompt}, seed {seed}: {shown} of {len(subjects)}, {seconds} s", flush=True)


if __name__ == "__main__":
    main()
