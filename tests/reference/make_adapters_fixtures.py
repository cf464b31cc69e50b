#!/usr/bin/env python3
"""Adapters of PEFT and LyCORIS, each merged into the same two layers by the library that wrote it.

  python make_adapters_fixtures.py [--out DIR]

Written with peft 0.21, lycoris-lora 4 and torch 2.15 on the CPU:

  base.safetensors      proj.weight [8, 6], proj.bias [8], conv.weight [6, 4, 3, 3], conv.bias [6]
  CASE.safetensors      an adapter as the library saves it, PEFT's with its config in the header as diffusers writes it
  expected.safetensors  CASE.STRENGTH.proj.weight, CASE.STRENGTH.conv.weight and, where they change, the biases
"""

import argparse
import dataclasses
import json
from pathlib import Path

import peft
import torch
from lycoris import LycorisNetwork, create_lycoris
from safetensors.torch import save_file

STRENGTHS = [1.0, 0.5]
LAYERS = ["proj", "conv"]


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = torch.nn.Linear(6, 8)
        self.conv = torch.nn.Conv2d(4, 6, 3, padding=1)


def base():
    torch.manual_seed(0)
    return Model()


def randomize(parameters):
    """Not the zeros that an untrained adapter has in one factor."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(parameter.clamp(0.5, 2) if parameter.ndim == 0 else torch.randn_like(parameter) * 0.5)


def merged(model):
    names = [f"{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias")]
    return {name: model.get_parameter(name).detach().clone() for name in names}


PEFT = {
    "peft-lora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=LAYERS),
    "peft-rslora": peft.LoraConfig(r=4, lora_alpha=3, use_rslora=True, target_modules=LAYERS),
    "peft-patterns": peft.LoraConfig(
        r=2, lora_alpha=3, rank_pattern={"conv": 3}, alpha_pattern={"conv": 5}, target_modules=LAYERS
    ),
    "peft-bias": peft.LoraConfig(r=2, lora_alpha=3, lora_bias=True, target_modules=LAYERS),
    "peft-dora": peft.LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=LAYERS),
    "peft-loha": peft.LoHaConfig(r=2, alpha=3, target_modules=LAYERS),
    "peft-loha-effective": peft.LoHaConfig(r=2, alpha=3, use_effective_conv2d=True, target_modules=LAYERS),
    "peft-lokr": peft.LoKrConfig(r=1, alpha=3, decompose_factor=2, target_modules=LAYERS),
    "peft-lokr-both": peft.LoKrConfig(r=1, alpha=3, decompose_both=True, decompose_factor=2, target_modules=LAYERS),
    "peft-lokr-effective": peft.LoKrConfig(r=1, alpha=3, decompose_factor=2, use_effective_conv2d=True, target_modules=LAYERS),
}  # fmt: skip


def of_peft(name, config, out):
    """Saves the adapter, and returns what it merges to at each strength."""
    expected = {}
    for strength in STRENGTHS:
        model = peft.get_peft_model(base(), config)
        trained = [(key, value) for key, value in model.named_parameters() if value.requires_grad]
        randomize([value for _, value in trained])
        state = peft.get_peft_model_state_dict(model)
        settings = {key: value for key, value in dataclasses.asdict(config).items() if isinstance(value, bool | int | float | str | dict)}
        settings["peft_type"] = str(config.peft_type.value)
        save_file(
            {key.replace("base_model.model.", "unet."): value.contiguous().clone() for key, value in state.items()},
            out / f"{name}.safetensors",
            metadata={"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in settings.items()})},
        )
        for layer in LAYERS:
            module = model.base_model.model.get_submodule(layer)
            module.scaling["default"] *= strength
        expected |= {f"{name}.{strength}.{key}": value for key, value in merged(model.merge_and_unload()).items()}
    return expected


LYCORIS = {
    "lycoris-locon": dict(algo="locon"),
    "lycoris-locon-tucker": dict(algo="locon", use_tucker=True),
    "lycoris-loha": dict(algo="loha"),
    "lycoris-loha-tucker": dict(algo="loha", use_tucker=True),
    "lycoris-lokr": dict(algo="lokr", factor=2, linear_dim=1, conv_dim=1),
    "lycoris-lokr-tucker": dict(algo="lokr", factor=2, use_tucker=True, linear_dim=1, conv_dim=1),
    "lycoris-lokr-both": dict(algo="lokr", factor=2, decompose_both=True, linear_dim=1, conv_dim=1),
    "lycoris-lokr-whole": dict(algo="lokr", factor=2),
    "lycoris-dora": dict(algo="locon", dora_wd=True),
    "lycoris-dora-loha": dict(algo="loha", dora_wd=True),
    "lycoris-full": dict(algo="full"),
}  # fmt: skip


def of_lycoris(name, options, out):
    """Merged with alpha equal to the rank where its LoHa and LoKr multiply by alpha over rank twice (`get_weight`, then
    `get_diff_weight`), which their forward pass does not. Between strengths its DoRA weighs the magnitudes, PEFT's the update."""
    expected = {}
    alpha = {} if options["algo"] in ("locon", "full") else dict(linear_alpha=options.get("linear_dim", 2), conv_alpha=options.get("conv_dim", 2))
    for strength in STRENGTHS[:1] if options.get("dora_wd") else STRENGTHS:
        model = base()
        LycorisNetwork.apply_preset({"target_module": ["Linear", "Conv2d"], "target_name": LAYERS})
        network = create_lycoris(model, 1.0, **dict(linear_dim=2, linear_alpha=1.5, conv_dim=2, conv_alpha=1.5) | alpha | options)
        network.apply_to()
        torch.manual_seed(1)
        with torch.no_grad():
            for key, parameter in network.named_parameters():
                if "dora" in key:
                    parameter.mul_(torch.rand_like(parameter) + 0.5)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.5)
        state = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
        save_file({key.replace("lycoris_", "lora_unet_"): value for key, value in state.items()}, out / f"{name}.safetensors")
        network.restore()
        network.merge_to(strength)
        expected |= {f"{name}.{strength}.{key}": value for key, value in merged(model).items()}
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures/adapters")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    plain = merged(base())
    save_file(plain, out / "base.safetensors")
    expected = {}
    for name, config in PEFT.items():
        expected |= of_peft(name, config, out)
    for name, options in LYCORIS.items():
        expected |= of_lycoris(name, options, out)
    unchanged = [key for key, value in expected.items() if torch.equal(value, plain[".".join(key.split(".")[-2:])])]
    assert all(key.endswith("bias") for key in unchanged), unchanged
    save_file({key: value for key, value in expected.items() if key not in unchanged}, out / "expected.safetensors")


if __name__ == "__main__":
    main()
