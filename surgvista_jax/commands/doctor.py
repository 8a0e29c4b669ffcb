"""The command `surgvista doctor`: versions, devices, decoders, limits, and what of it will hurt."""

import argparse
import json

from surgvista_jax.checkup.gather import gather
from surgvista_jax.checkup.judge import judge
from surgvista_jax.checkup.said import as_dict, as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "Nothing is written. The exit code is 1 if something is missing without which nothing runs."
        " Of variables, those that begin with JAX_, XLA_, TPU_, CUDA_ and the like are told: look"
        " at them before you show them to others."
    )


def main(arguments: argparse.Namespace) -> int:
    """Looks, tells, and returns 0 where programs can run, else 1."""
    facts = gather()
    findings = judge(facts)
    said = as_dict(facts, findings)
    print(json.dumps(said, indent=2) if arguments.json else as_text(facts, findings))
    return 1 if any(finding.level == "error" for finding in findings) else 0
