"""The command `surgvista finetune`: a labelled dataset and a backbone in, a classifier out."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from surgvista_jax.config import load_config, told_keys
from surgvista_jax.config.printing import printed
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.tasks.programs import program_of, resolved, run
from surgvista_jax.training import goodput, processes
from surgvista_jax.training.bucket_run import folder_of_run
from surgvista_jax.training.determinism import asked_in, make_deterministic
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.profiling import add_profile, overrides_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    processes.add_run_arguments(parser)
    add_profile(parser)
    parser.add_argument(
        "--probe-features",
        type=Path,
        metavar="DIR",
        help="where mode=linear keeps its features, for runs that share them (the run's folder)",
    )
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration, such as --config.init=WEIGHTS,"
        " --config.data.folder=DATASET, --config.mode=full|linear|attentive|lora, --config.seeds=3"
    )


def main(arguments: argparse.Namespace) -> int:
    def class_of(values: Mapping) -> type:
        if values.get("mode") == "temporal" and arguments.profile is not None:
            raise UserError("--profile: mode=temporal traces no steps; leave --profile out")
        return program_of(values).config

    config = load_config(
        arguments.config,
        class_of,
        overrides_of(arguments),
        kinds=("finetuning", "temporal"),
    )
    told = told_keys(arguments.overrides, arguments.config)
    if arguments.print_config:
        start_devices()
        config = resolved(config, told)
    program = program_of(config)
    if printed(arguments, config, program.config, program.kind):
        return 0
    make_deterministic(asked_in(config))
    facts = processes.run_facts(config.to_dict(), arguments.workdir)
    goodput.began(arguments.began)
    with processes.joined(arguments, facts), folder_of_run(arguments.workdir) as workdir:
        finished = run(config, workdir, told, arguments.overwrite, arguments.probe_features)
    finished = finished or bool("loop" in config and config.loop.stop_after)
    return 0 if finished else TOLD_TO_STOP
