"""Counts what evaluate.py has drawn: how often both subjects are found, plainly and with Attend-and-Excite.

python report.py --name main
"""

import argparse
import glob
import os
from statistics import fmean, stdev

from files import Work, load_json_lines
from vocabulary import ANIMALS


def found(row):
    """The number of asked subjects that are in the picture."""
    return sum(subject["logit"] > 0 for subject in row["subjects"].values())


def both(row):
    return found(row) == len(row["subjects"])


def least(row):
    """The logit of the less visible subject: `both` by degrees, as the paper's minimum object similarity is."""
    return min(subject["logit"] for subject in row["subjects"].values())


def animals(row):
    return sum(subject in ANIMALS for subject in row["subjects"])


GROUPS = {
    "all": lambda row: True,
    "held-out pairs": lambda row: row["held_out"],
    "other pairs": lambda row: not row["held_out"],
    "animal-animal": lambda row: animals(row) == 2,
    "animal-object": lambda row: animals(row) == 1,
    "object-object": lambda row: animals(row) == 0,
}


def share(rows):
    if not rows:
        return "-"
    one, none = (sum(found(row) == count for row in rows) for count in (1, 0))
    hits = sum(map(both, rows))
    return f"{hits}/{len(rows)} = {100 * hits / len(rows):.0f} % (one {one}, none {none})"


def colours(rows):
    """Right ones among the colours asked for, of the subjects that are there."""
    asked = [s for row in rows for s in row["subjects"].values() if s["asked"] and s["logit"] > 0]
    return f"{sum(s['asked'] == s['found'] for s in asked)}/{len(asked)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    Work.add_option(parser)
    parser.add_argument("--name", default="main", help="of the evaluation (default main)")
    options = parser.parse_args()
    folder = os.path.join(Work(options.work).samples, options.name)
    rows = [row for path in sorted(glob.glob(os.path.join(folder, "results_*.jsonl"))) for row in load_json_lines(path)]
    kinds = {kind: {(r["prompt"], r["seed"]): r for r in rows if r["kind"] == kind} for kind in ("plain", "guided")}
    pairs = [(plain, kinds["guided"][key]) for key, plain in kinds["plain"].items() if key in kinds["guided"]]
    if not pairs:
        raise SystemExit(f"no pictures drawn both ways in {folder}: run evaluate.py first")

    print("| prompts | plain: both found | guided: both found |\n|---|---|---|")
    for name, belongs in GROUPS.items():
        chosen = [pair for pair in pairs if belongs(pair[0])]
        print(f"| {name} | {share([p for p, _ in chosen])} | {share([g for _, g in chosen])} |")
    gained = sum(not both(p) and both(g) for p, g in pairs)
    lost = sum(both(p) and not both(g) for p, g in pairs)
    print(f"paired: {len(pairs)} pictures, {gained} gained, {lost} lost")
    for i, kind in enumerate(kinds):
        chosen = [pair[i] for pair in pairs]
        others, seconds = sum(len(row["others"]) for row in chosen), fmean(row["seconds"] for row in chosen)
        print(f"{kind}: colours right {colours(chosen)}, subjects not asked for {others}, {seconds:.1f} s a picture")
    differences = [least(g) - least(p) for p, g in pairs]
    plain, guided = (fmean(least(pair[i]) for pair in pairs) for i in (0, 1))
    print(f"logit of the less visible subject: plain {plain:.2f}, guided {guided:.2f}")
    if len(pairs) > 1:
        print(
            f"difference {fmean(differences):.2f} with a standard error of {stdev(differences) / len(pairs) ** 0.5:.2f}"
        )
    for prompt in dict.fromkeys(p["prompt"] for p, _ in pairs):
        chosen = [pair for pair in pairs if pair[0]["prompt"] == prompt]
        plain, guided = (sum(both(pair[i]) for pair in chosen) for i in (0, 1))
        print(f"  {prompt}: plain {plain}/{len(chosen)}, guided {guided}/{len(chosen)}")


if __name__ == "__main__":
    main()
