"""The detector: a small convolutional network that finds the subjects of a picture and the objects' colours.

At each of 16x16 places it has a logit per subject and per colour. A subject is there when its highest logit is above 0;
its colour is the best one at that place.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

from vocabulary import COLOUR_NAMES, OBJECTS, SUBJECTS

# Channels in, channels out, stride; all are 3x3.
CONVOLUTIONS = [(3, 24, 2), (24, 48, 2), (48, 64, 1), (64, 96, 2), (96, 128, 1), (128, 128, 1)]


class Detector(nn.Module):
    """The network as it is trained, with batch norms."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, stride, 1, bias=False) for i, o, stride in CONVOLUTIONS)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _ in CONVOLUTIONS)
        self.head = nn.Conv2d(CONVOLUTIONS[-1][1], len(SUBJECTS) + len(COLOUR_NAMES), 1)
        # Most subjects are absent from most pictures.
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, images):
        """Images N x 3 x 128 x 128 in [-1, 1] to logits of subjects, N x 24, and of their colours, N x 24 x 11."""
        for convolution, norm in zip(self.convs, self.norms):
            images = F.relu(norm(convolution(images)))
        return strongest(self.head(F.max_pool2d(images, 3, 1, 1)))

    def folded(self):
        """The weights with the batch norms folded into the convolutions, in float16, as FoldedDetector reads them."""
        weights = {"head.weight": self.head.weight, "head.bias": self.head.bias}
        for i, (convolution, norm) in enumerate(zip(self.convs, self.norms)):
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weights[f"convs.{i}.weight"] = convolution.weight * scale[:, None, None, None]
            weights[f"convs.{i}.bias"] = norm.bias - norm.running_mean * scale
        return {name: weight.detach().contiguous().half() for name, weight in weights.items()}


class FoldedDetector:
    """The network as it is used: convolutions, ReLU and max-pooling only."""

    def __init__(self, path):
        self.weights = {name: weight.float() for name, weight in load_file(path).items()}

    @torch.no_grad()
    def __call__(self, images):
        for i, (_, _, stride) in enumerate(CONVOLUTIONS):
            weight, bias = self.weights[f"convs.{i}.weight"], self.weights[f"convs.{i}.bias"]
            images = F.relu(F.conv2d(images, weight, bias, stride, 1))
        pooled = F.max_pool2d(images, 3, 1, 1)
        return strongest(F.conv2d(pooled, self.weights["head.weight"], self.weights["head.bias"]))


def strongest(logits):
    """Of the logits at all places, each subject's highest and the colours' at the same place."""
    subjects, colours = logits.flatten(2).split([len(SUBJECTS), len(COLOUR_NAMES)], 1)
    highest, place = subjects.max(2)
    index = place[:, None].expand(-1, len(COLOUR_NAMES), -1)
    return highest, colours.gather(2, index).transpose(1, 2)


def targets(entries):
    """What the captions file says is shown: 1 per subject, and the colour's number per object or -1."""
    present = torch.zeros(len(entries), len(SUBJECTS))
    colours = torch.full((len(entries), len(SUBJECTS)), -1, dtype=torch.long)
    for i, entry in enumerate(entries):
        for subject, colour, _ in entry["shown"]:
            present[i, SUBJECTS.index(subject)] = 1
            if colour and subject in OBJECTS:
                colours[i, SUBJECTS.index(subject)] = COLOUR_NAMES.index(colour)
    return present, colours
