"""Data parallel training on the CPU: one process with one thread per core, started by torchrun.

On a busy machine this is much faster than several threads in one process, which wait for each other thousands of times
a step; here the processes meet once a step. Without torchrun there is one process, and the same code runs.
"""

import os

import torch
import torch.distributed as dist

RANK = int(os.environ.get("RANK", 0))
WORLD = int(os.environ.get("WORLD_SIZE", 1))


def limit_threads():
    """As many threads as OMP_NUM_THREADS says, else one: more do not help networks of this size."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))


def autocast():
    """bfloat16 where the processor has vectors for it; with AVX2 alone torch is 20 times slower than in float32."""
    fast = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast)


def start():
    limit_threads()
    if WORLD > 1:
        dist.init_process_group("gloo")


def stop():
    if WORLD > 1:
        dist.destroy_process_group()


def barrier():
    if WORLD > 1:
        dist.barrier()


def average(parameters, *values):
    """Averages the gradients, and further numbers, over the processes; returns the numbers."""
    if WORLD == 1:
        return values
    everything = torch.cat([p.grad.reshape(-1) for p in parameters] + [torch.tensor(values)])
    dist.all_reduce(everything)
    everything /= WORLD
    at = 0
    for parameter in parameters:
        count = parameter.numel()
        parameter.grad.copy_(everything[at : at + count].view_as(parameter))
        at += count
    return everything[at:].tolist()


def say(*words):
    """Prints, in the first process only."""
    if RANK == 0:
        print(*words, flush=True)
