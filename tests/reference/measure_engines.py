#!/usr/bin/env python3
"""One noise prediction of a U-Net by torch or OpenVINO, as often as it is asked for; for `cargo xtask bench --only engines`.

  python measure_engines.py torch    MODEL CASE.safetensors --threads 2
  python measure_engines.py openvino MODEL CASE.safetensors --threads 2

Needs torch, diffusers and for openvino the package of that name. torch writes the case: seeded `latents` `[1, 4, rows, columns]`,
`text` `[2, 77, width]`, and what it predicts for both texts, `expected` `[2, 4, rows, columns]`. OpenVINO reads it.

When the engine is ready it prints a line of JSON with `difference`, that to `expected` by its norm. Then it
answers each line of its input with a line of JSON: `seconds` of one prediction, `peak` of the resident memory in bytes.
Everything is in float32; OpenVINO is told so (`INFERENCE_PRECISION_HINT`).
"""
import argparse
import json
import os
import resource
import sys
import time

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

TIMESTEP = 981


class Step(torch.nn.Module):
    """The U-Net with a fixed timestep, of two tensors."""

    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, latents, text):
        return self.unet(latents, torch.tensor(TIMESTEP), text, return_dict=False)[0]


def load(model):
    return UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32).eval()


def torch_engine(arguments):
    torch.set_num_threads(arguments.threads)
    unet = load(arguments.model)
    generator = torch.Generator().manual_seed(0)
    side = arguments.size // 8 if arguments.size else unet.config.sample_size
    latents = torch.randn(1, 4, side, side, generator=generator)
    text = torch.randn(2, 77, unet.config.cross_attention_dim, generator=generator)
    step = Step(unet)

    def predict():
        with torch.inference_mode():
            return step(latents.expand(2, -1, -1, -1), text)

    save_file(dict(latents=latents, text=text, expected=predict().clone()), arguments.case)
    return predict


def openvino_engine(arguments):
    import openvino

    case = load_file(arguments.case)
    inputs = (case["latents"].expand(2, -1, -1, -1).contiguous(), case["text"])
    core = openvino.Core()
    with torch.no_grad():
        model = openvino.convert_model(Step(load(arguments.model)), example_input=inputs, input=[list(x.shape) for x in inputs])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": arguments.threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", options)
    del model
    request = compiled.create_infer_request()

    def predict():
        request.infer([x.numpy() for x in inputs], share_inputs=True)
        return torch.from_numpy(request.get_output_tensor(0).data)

    return predict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["torch", "openvino"])
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("case", metavar="CASE")
    parser.add_argument("--size", type=int, help="side of the picture torch writes a case for; by default the model's own")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    # What the libraries print must not stand between the lines of the protocol.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    predict = torch_engine(arguments) if arguments.engine == "torch" else openvino_engine(arguments)
    expected = load_file(arguments.case)["expected"]
    difference = (predict() - expected).norm() / expected.norm()
    print(json.dumps(dict(difference=difference.item())), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        predict()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(dict(seconds=seconds, peak=peak)), file=answers, flush=True)


if __name__ == "__main__":
    main()
