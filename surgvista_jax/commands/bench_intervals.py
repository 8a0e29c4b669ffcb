"""The command `surgvista bench intervals`: how often a report's intervals hold the truth."""

import argparse
import json
from string import ascii_lowercase

from tqdm import tqdm

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.coverage import FAILING, TITLES, coverage
from surgvista_jax.metrics.intervals import LEVEL
from surgvista_jax.reports.screen import table

# What a sample is of -> (patients with several videos, share of failing operations).
KINDS = {
    "videos": (False, 0.0),
    "patients of 1 to 3 videos": (True, 0.0),
    f"videos, {FAILING:.0%} failing": (False, FAILING),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista bench intervals`."""
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[5, 10, 40], help="of a sample [5 10 40]"
    )
    parser.add_argument(
        "--repetitions", type=int, default=200, help="samples of each size [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=0, help="[%(default)s]")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def main(arguments: argparse.Namespace) -> None:
    """Prints the share of samples whose interval holds the score of their population."""
    if arguments.repetitions < 1 or min(arguments.sizes) < 2:
        raise UserError("--sizes are at least 2 and --repetitions at least 1")
    rows = []
    total = len(KINDS) * len(arguments.sizes) * arguments.repetitions
    with tqdm(total=total, desc="samples", disable=None) as bar:
        for kind, (several, failing) in KINDS.items():
            for size in arguments.sizes:
                found = coverage(
                    size,
                    several=several,
                    failing=failing,
                    repetitions=arguments.repetitions,
                    seed=arguments.seed,
                    every=bar.update,
                )
                rows.append({"of": kind, "size": size, "coverage": found})
    if arguments.json:
        print(json.dumps({"level": LEVEL, "repetitions": arguments.repetitions, "rows": rows}))
        return
    print(text(rows, arguments.repetitions))


def text(rows: list[dict], repetitions: int) -> str:
    """A column for each kind and size of sample, a row for each score."""
    letters = dict(zip(dict.fromkeys(row["of"] for row in rows), ascii_lowercase, strict=False))
    kinds = "\n".join(f"{letter}: {kind}" for kind, letter in letters.items())
    header = ["in percent", *(f"{row['size']} {letters[row['of']]}" for row in rows)]
    body = [
        [title, *(f"{100 * row['coverage'][name]:.0f}" for row in rows)]
        for name, title in TITLES.items()
    ]
    return (
        f"Share of {repetitions} samples whose {LEVEL:.0%} interval holds the population's score\n"
        f"{kinds}\n\n{table(header, body)}"
    )
