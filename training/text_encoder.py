"""Trains the text encoder, a small CLIPTextModel, which is frozen afterwards as in Stable Diffusion.

    python text_encoder.py

There are too few pictures here for the denoising loss to teach a text encoder anything. So the causal transformer is
taught a code by regression: the output at a subject's token is the subject's code plus 0.8 of the code of its colour,
at any other word that word's code, at the end token and the padding one constant. The subject's own token, whose
attention map Attend-and-Excite reads, is thus what carries the subject; its colour comes to it through the causal
attention.
"""

import argparse
import random

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from files import Work, save_folder
from parallel import limit_threads
from tokenizer import token_ids
from vocabulary import COLOUR_NAMES, OBJECTS, SUBJECTS, TOKENS, phrase

WIDTH = 128
BATCH = 48
RATE = 2e-3
WARMUP = 50
# The rate falls as if to zero at this step; training ends before, when the code has been learned.
SCHEDULE = 1500
# Most batches are cut off after this many tokens: what follows is padding.
SHORT = 24


def codes():
    """Orthogonal vectors of unit variance, one per meaning."""
    meanings = ["<padding>", "<start>", *SUBJECTS]
    meanings += [f"colour of the subject: {name}" for name in COLOUR_NAMES]
    meanings += [*COLOUR_NAMES, "a", "an", "and", "with", "<other>"]
    basis, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(7)))
    return {meaning: basis[i] * WIDTH**0.5 for i, meaning in enumerate(meanings)}


CODES = codes()


def target(prompt, length=TOKENS):
    """The states that the encoder shall have for a prompt, one per token."""
    states, colour = [CODES["<start>"]], None
    for word in prompt.split():
        state = CODES.get(word, CODES["<other>"])
        if word in SUBJECTS and colour:
            state = state + 0.8 * CODES[f"colour of the subject: {colour}"]
        states.append(state)
        colour = word if word in COLOUR_NAMES else None
    return torch.stack(states + [CODES["<padding>"]] * (length - len(states)))


def random_prompt(rng):
    """None to three subjects; unlike in captions, animals have colours too."""
    subjects = []
    for _ in range(rng.choice([0, 1, 1, 2, 2, 2, 2, 3])):
        subject = rng.choice(SUBJECTS)
        coloured = rng.random() < (0.75 if subject in OBJECTS else 0.15)
        subjects.append((subject, rng.choice(COLOUR_NAMES) if coloured else None))
    prompt = ""
    for i, subject in enumerate(subjects):
        prompt += (rng.choice([" and ", " and ", " with "]) if i else "") + phrase(*subject)
    return prompt


def build(tokenizer):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        hidden_act="quick_gelu",
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def error(encoder, tokenizer, prompts, length=TOKENS):
    """The mean squared error of the states of prompts."""
    states = encoder(token_ids(tokenizer, prompts, length)).last_hidden_state
    return (states - torch.stack([target(prompt, length) for prompt in prompts])).pow(2).mean()


def train(tokenizer, steps, seed=0):
    """An encoder after so many steps; the same for the same versions, kind of processor and number of threads."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    encoder = build(tokenizer)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARMUP) * max(0.01, 1 - step / SCHEDULE)
        prompts = [random_prompt(rng) for _ in range(BATCH)]
        # Every eighth batch has the whole length, so that the padding's last positions are learned as well.
        loss = error(encoder, tokenizer, prompts, TOKENS if step % 8 == 0 else SHORT)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step} error {loss.item():.5f}", flush=True)
    return encoder.eval()


@torch.no_grad()
def held_back_error(encoder, tokenizer):
    """The error on prompts that training did not draw with its own generator."""
    return error(encoder, tokenizer, [random_prompt(random.Random(999 + i)) for i in range(64)]).item()


@torch.no_grad()
def states(tokenizer, encoder, prompts):
    """The states of prompts of at most SHORT tokens in float16, as the U-Net is conditioned on them.

    What follows is padding, which the encoder was taught to give one state: it is taken from the empty prompt.
    """
    padding = encoder(token_ids(tokenizer, [""])).last_hidden_state[0, SHORT:].half()
    states = torch.empty(len(prompts), TOKENS, WIDTH, dtype=torch.half)
    for i in range(0, len(prompts), 256):
        ids = token_ids(tokenizer, prompts[i : i + 256], SHORT)
        states[i : i + 256, :SHORT] = encoder(ids).last_hidden_state.half()
        states[i : i + 256, SHORT:] = padding
    return states


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument(
        "--steps", type=int, default=401, help="steps of 48 prompts (default 401, as the shipped encoder)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the prompts (default 0)")
    options = parser.parse_args()
    limit_threads()
    work = Work(options.work)
    tokenizer = CLIPTokenizer.from_pretrained(work.tokenizer)
    encoder = train(tokenizer, options.steps, options.seed)
    save_folder(work.text_encoder, encoder.save_pretrained)
    print(f"{sum(p.numel() for p in encoder.parameters())} parameters, error {held_back_error(encoder, tokenizer):.5f}")


if __name__ == "__main__":
    main()
