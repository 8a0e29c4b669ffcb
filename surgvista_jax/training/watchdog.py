"""What of a run is looked at for standing still: its steps, and what follows them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from surgvista_jax.training import processes
from surgvista_jax.training.loop_config import LoopConfig
from surgvista_jax.training.standstill import Standstill


def standstill_of(config: LoopConfig, workdir: Path) -> Standstill:
    """Looks at this process and the others of its run, as a configuration says.

    Args:
        workdir: the run's folder.
    """
    first_is_us = jax.process_index() == 0
    watch = processes.watched()
    return Standstill(config.patience, config.on_standstill, workdir, watch, first_is_us)


@contextlib.contextmanager
def watched(config: LoopConfig, workdir: Path, step: int, doing: str) -> Iterator[None]:
    """Within the block nothing may take as long as no step may; each batch starts it anew.

    All processes enter it.

    Args:
        step: how many were done before.
        doing: what is done in the block, such as "evaluating the test videos".
    """
    with standstill_of(config, workdir) as still:
        still.at(step, doing)
        still.ended()  # from now on time counts
        yield
