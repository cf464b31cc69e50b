"""The words of the embedded model: its subjects, its colours, and how a phrase is made of them."""

import json

ANIMALS = "cat dog bird bear lion horse elephant monkey frog turtle rabbit mouse".split()
OBJECTS = "backpack glasses crown suitcase chair balloon bow car bowl bench clock apple".split()
SUBJECTS = ANIMALS + OBJECTS

# Name -> RGB that an object of this colour is tinted with.
COLOURS = {
    "red": (214, 36, 36),
    "orange": (245, 130, 28),
    "yellow": (250, 212, 40),
    "green": (48, 158, 66),
    "blue": (40, 92, 220),
    "purple": (132, 56, 184),
    "pink": (246, 128, 182),
    "brown": (126, 74, 40),
    "gray": (138, 138, 140),
    "black": (42, 42, 46),
    "white": (244, 244, 244),
}
COLOUR_NAMES = list(COLOURS)

# The prompt's length in tokens, as in CLIP.
TOKENS = 77


def as_json():
    """The text of `vocabulary.json`, from which `ae` knows what the model can draw."""
    things = {"animals": ANIMALS, "objects": OBJECTS}
    return json.dumps({"things": things, "colours": COLOUR_NAMES}, indent=2) + "\n"


def phrase(subject, colour=None):
    """`a cat`, `an orange bowl`: a subject with its article."""
    words = f"{colour} {subject}" if colour else subject
    return ("an " if words[0] in "aeiou" else "a ") + words


def subjects_of(prompt):
    """The subjects of a prompt as pairs of subject and colour (or None), in their order."""
    found, colour = [], None
    for word in prompt.split():
        if word in COLOURS:
            colour = word
        elif word in SUBJECTS:
            found.append((word, colour))
            colour = None
    return found


def subject_positions(prompt):
    """The token positions of the subjects: every word is one token, and the start token comes before them."""
    return [position for position, word in enumerate(prompt.split(), 1) if word in SUBJECTS]
