"""Builds the tokenizer: a byte-level BPE as CLIP's, in which every word of the vocabulary is one token.

    python tokenizer.py

Writes vocab.json, merges.txt, special_tokens_map.json and tokenizer_config.json below model/tokenizer of the work
folder. vocab.json is laid out as CLIP's: 256 byte symbols, the same with </w>, one entry per merge, and the two special
tokens.
"""

import argparse
import json
import os

from transformers import CLIPTokenizer

from files import Work, save_folder, save_json
from vocabulary import COLOUR_NAMES, SUBJECTS, TOKENS

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = "a an and with the of on in two photo next to".split() + SUBJECTS + COLOUR_NAMES


def byte_symbols():
    """GPT-2's printable symbol for each of the 256 bytes, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def merge_word(word, ranks):
    """The pieces of a word after all merges, the one of lowest rank first."""
    pieces = list(word[:-1]) + [word[-1] + "</w>"]
    while len(pieces) > 1:
        pairs = set(zip(pieces, pieces[1:])) & ranks.keys()
        if not pairs:
            break
        pair = min(pairs, key=ranks.get)
        merged, i = [], 0
        while i < len(pieces):
            if tuple(pieces[i : i + 2]) == pair:
                merged.append(pieces[i] + pieces[i + 1])
                i += 2
            else:
                merged.append(pieces[i])
                i += 1
        pieces = merged
    return pieces


def merges():
    """Pairs of pieces with their rank: word by word, what earlier merges leave in pieces is glued from the left."""
    ranks = {}
    for word in WORDS:
        while len(pieces := merge_word(word, ranks)) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
    return ranks


def vocabulary(ranks):
    symbols = byte_symbols()
    entries = symbols + [symbol + "</w>" for symbol in symbols] + [a + b for a, b in ranks] + [START, END]
    assert len(set(entries)) == len(entries)
    return {entry: i for i, entry in enumerate(entries)}


def special_token(content):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}


def write(folder):
    ranks = merges()
    # One line and no escapes, as in CLIP's file.
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocabulary(ranks), file, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in ranks))
    special = {
        "bos_token": special_token(START),
        "eos_token": special_token(END),
        "unk_token": special_token(END),
        "pad_token": END,
    }
    save_json(special, os.path.join(folder, "special_tokens_map.json"))
    config = {"add_prefix_space": False, **special, "do_lower_case": True, "errors": "replace"}
    config |= {"model_max_length": TOKENS, "tokenizer_class": "CLIPTokenizer"}
    save_json(config, os.path.join(folder, "tokenizer_config.json"))


def check(folder):
    """Every word is one token for transformers, and the empty prompt is a start and an end token."""
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    for word in WORDS:
        ids = tokenizer(word).input_ids
        assert len(ids) == 3, f"'{word}' is {tokenizer.convert_ids_to_tokens(ids)}"
    start, end = len(tokenizer) - 2, len(tokenizer) - 1
    assert tokenizer("").input_ids == [start, end] and tokenizer.pad_token_id == end
    return tokenizer


def token_ids(tokenizer, prompts, length=TOKENS):
    """The ids of prompts, padded with the end token."""
    encoded = tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return encoded.input_ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    work = Work(parser.parse_args().work)
    save_folder(work.tokenizer, write)
    print(f"{len(check(work.tokenizer))} entries; each of the {len(WORDS)} words is one token")


if __name__ == "__main__":
    main()
