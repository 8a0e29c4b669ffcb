"""The command `surgvista pretrain`: a dataset folder in, a pretrained student out."""

import argparse

from surgvista_jax.config import load_config, told_keys
from surgvista_jax.config.printing import printed
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.tasks.choosing.choice import CHOOSE
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.own import resolved
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import goodput, processes
from surgvista_jax.training.bucket_run import folder_of_run
from surgvista_jax.training.determinism import asked_in, make_deterministic
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.profiling import add_profile, overrides_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    processes.add_run_arguments(parser)
    add_profile(parser)
    parser.add_argument(
        "--allow-overlap",
        action="store_true",
        help="take an operation from every folder that shows it, not from the first alone: short"
        " for --config.data.allow_overlap=true",
    )
    parser.epilog = "--config.a.b=VALUE replaces a value of the configuration"


def main(arguments: argparse.Namespace) -> int:
    words = overrides_of(arguments)
    if arguments.allow_overlap:
        said = [word for word in words if word.lower() == "--config.data.allow_overlap=false"]
        if said:
            raise UserError(f"--allow-overlap and {said[0]} say the opposite: leave one out")
        words.append("--config.data.allow_overlap=true")
    config = load_config(arguments.config, PretrainConfig, words, kinds=("pretraining",))
    told = told_keys(arguments.overrides, arguments.config)
    if arguments.print_config and config[CHOOSE]:
        start_devices()
        config = resolved(config, told, None)
    if printed(arguments, config, PretrainConfig, "pretraining"):
        return 0
    make_deterministic(asked_in(config))
    facts = processes.run_facts(config.to_dict(), arguments.workdir)
    goodput.began(arguments.began)
    with processes.joined(arguments, facts), folder_of_run(arguments.workdir) as workdir:
        config = resolved(config, told, workdir)
        finished = pretrain(config, workdir, arguments.overwrite)
    return TOLD_TO_STOP if finished.preempted else 0
