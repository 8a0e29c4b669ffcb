"""What a run says when it ends: where to look, and what to type next."""

import shlex
from pathlib import Path

from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.tasks.beginning import say
from surgvista_jax.training.loop import Finished
from surgvista_jax.training.writers import FIGURES, METRICS_FILE

_PLACES = {
    "checkpoints": "checkpoints",
    "best": "best parameters",
    FIGURES: "figures",
    PREDICTIONS: "predictions",
    "report/report.html": "report",
    METRICS_FILE: "metrics",
}


def tell_end(workdir: Path, next_command: str) -> None:
    """Says in one line where everything of a run that came to its end is.

    Args:
        next_command: with "{run}" where the run's folder stands.
    """
    found = [
        f"{said} {workdir / name}" for name, said in _PLACES.items() if _is_there(workdir, name)
    ]
    say(f"done: {', '.join(found)}; next: {next_command.format(run=shlex.quote(str(workdir)))}")


def tell_pretrained(workdir: Path, finished: Finished, num_steps: int) -> None:
    """Says how a pretraining run ended; nothing of one that was told to stop, as that is said."""
    if finished.preempted:
        return
    if finished.step < num_steps:
        say(
            f"{workdir}: stopped after step {finished.step} of {num_steps}, as"
            " config.loop.stop_after says; without it the same command goes on"
        )
        return
    tell_end(workdir, "surgvista figure reconstruction --checkpoint={run} --out=figure.png")


def tell_finetuned(workdir: Path) -> None:
    """Says where the parts of a finetuning run are that came to its end."""
    tell_end(workdir, "surgvista predict VIDEO --checkpoint={run} --out=PREDICTIONS")


def _is_there(workdir: Path, name: str) -> bool:
    path = workdir / name
    return any(path.iterdir()) if path.is_dir() else path.exists()
