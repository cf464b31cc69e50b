"""How long a training goes on: a number of minutes or of steps, and how far it is."""

import math
import time

from parallel import average


class Budget:
    """The length of one schedule. Its position is part of a checkpoint, so that it goes on after an interruption.

    In minutes the work fits the time there is, and the steps depend on the machine; in steps it can be repeated.
    """

    def __init__(self, options, position=None):
        self.minutes, self.steps = options.minutes, options.steps
        self.seconds, self.done = position or (0.0, 0)
        self.resumed_at, self.started = self.seconds, time.time()

    @staticmethod
    def add_options(parser, minutes, resumes=False):
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--minutes", type=float, default=minutes, help=f"length in minutes (default {minutes})")
        group.add_argument("--steps", type=int, help="length in steps instead")
        if resumes:
            parser.add_argument(
                "--new-schedule", action="store_true", help="a checkpoint's weights go on in a schedule of their own"
            )

    @property
    def fraction(self):
        return self.done / self.steps if self.steps else self.seconds / (self.minutes * 60)

    @property
    def over(self):
        return self.fraction >= 1

    @property
    def position(self):
        return [self.seconds, self.done]

    def step(self, parameters, *losses):
        """Ends a step: averages gradients and losses over the processes and takes the mean of their clocks."""
        now = self.resumed_at + time.time() - self.started
        self.seconds, *losses = average(parameters, now, *losses)
        self.done += 1
        return losses


def cosine(fraction):
    """From 1 at the beginning to 0 at the end."""
    return 0.5 * (1 + math.cos(math.pi * fraction))


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


class Log:
    """The smoothed losses, said from time to time."""

    def __init__(self, seconds):
        self.every, self.last, self.means = seconds, time.time(), None

    def add(self, losses):
        """Takes a step's losses; true when it is time to say something."""
        self.means = [0.98 * mean + 0.02 * loss for mean, loss in zip(self.means or losses, losses)]
        if time.time() - self.last < self.every:
            return False
        self.last = time.time()
        return True
