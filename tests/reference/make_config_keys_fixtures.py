#!/usr/bin/env python3
"""Every field of the configs that we read, with its default, from the signatures of their programs' classes.

  python make_config_keys_fixtures.py [--out FILE]

Written with diffusers 0.42, transformers 5.24 and peft 0.21. The file holds, by class, the fields with their defaults; what
JSON cannot hold is left out.
"""

import argparse
import dataclasses
import inspect
import json
import math
from pathlib import Path

import diffusers
import peft
import transformers

CLASSES = [
    diffusers.UNet2DConditionModel,
    diffusers.AutoencoderKL,
    diffusers.PNDMScheduler,
    diffusers.DDIMScheduler,
    diffusers.DDPMScheduler,
    diffusers.EulerDiscreteScheduler,
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.HeunDiscreteScheduler,
    diffusers.LMSDiscreteScheduler,
    diffusers.KDPM2DiscreteScheduler,
    diffusers.KDPM2AncestralDiscreteScheduler,
    diffusers.DPMSolverMultistepScheduler,
    diffusers.UniPCMultistepScheduler,
    diffusers.LCMScheduler,
    diffusers.TCDScheduler,
    transformers.CLIPTextConfig,
    peft.LoraConfig,
]


def is_json(value):
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return all(map(is_json, value))
    return value is None or isinstance(value, bool | int | str | dict)


def fields(cls):
    if dataclasses.is_dataclass(cls):
        values = {field.name: field.default for field in dataclasses.fields(cls)}
        values = {name: None if value is dataclasses.MISSING else value for name, value in values.items()}
    else:
        parameters = inspect.signature(cls.__init__).parameters.values()
        named = [parameter for parameter in parameters if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]
        values = {parameter.name: parameter.default for parameter in named if parameter.name != "self"}
    return {name: value if is_json(value) else None for name, value in values.items() if value is not inspect.Parameter.empty}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures/config_keys.json")
    out = parser.parse_args().out
    keys = {cls.__name__: fields(cls) for cls in CLASSES}
    out.write_text(json.dumps(keys, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
