"""Random captions, and the pairs of animals that no training caption has."""

import random

from vocabulary import ANIMALS, COLOUR_NAMES, OBJECTS, phrase

HELD_OUT_PAIRS = 20


def held_out_pairs():
    """20 of the 66 pairs of animals. No training caption has them, in neither order, so that they can be tested."""
    pairs = [(a, b) for i, a in enumerate(ANIMALS) for b in ANIMALS[i + 1 :]]
    random.Random(1234).shuffle(pairs)
    return {frozenset(pair) for pair in pairs[:HELD_OUT_PAIRS]}


HELD_OUT = held_out_pairs()


def random_animal(rng):
    return rng.choice(ANIMALS), None


def random_object(rng):
    subject = rng.choice(OBJECTS)
    return subject, rng.choice(COLOUR_NAMES) if rng.random() < 0.85 else None


def random_pair(rng, held_out):
    """Two different subjects: animals in 30 %, animal and object in 45 %, objects in 25 %."""
    while True:
        kind = rng.random()
        first = random_animal if kind < 0.75 else random_object
        second = random_animal if kind < 0.3 else random_object
        pair = [first(rng), second(rng)]
        names = frozenset(subject for subject, _ in pair)
        if len(names) == 2 and (held_out or names not in HELD_OUT):
            return pair


def random_caption(rng, single, held_out=False):
    """A caption and its subjects with their colours; animals have none.

    `single` is the share of captions with one subject. With `held_out` the pairs kept out of training may occur.
    """
    if rng.random() < single:
        subject = random_animal(rng) if rng.random() < 0.5 else random_object(rng)
        return phrase(*subject), [subject]
    pair = random_pair(rng, held_out)
    word = "and"
    if pair[0][0] in ANIMALS and pair[1][0] in OBJECTS:
        if rng.random() < 0.4:
            word = "with"
        elif rng.random() < 0.4:
            pair = pair[::-1]
    return f"{phrase(*pair[0])} {word} {phrase(*pair[1])}", pair
