"""A folder for one run alone, whether of one process or of several."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import jax
import ml_collections
import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.training.processes import on_all_processes

Rest = ParamSpec("Rest")
Result = TypeVar("Result")


@contextlib.contextmanager
def sole_use(folder: Path, advice: str) -> Iterator[None]:
    """`alone_in` of the first process; all processes call it, and end where that one cannot.

    Raises:
        UserError: another run has the folder.
    """
    refused: UserError | None = None
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            try:
                stack.enter_context(alone_in(folder, advice))
            except UserError as error:
                refused = error
        if not on_all_processes(np.array(refused is None)).all():
            raise refused or UserError(f"{folder}: is not for this run; process 0 says why")
        yield


def alone_in_workdir(
    program: Callable[Concatenate[ml_collections.ConfigDict, Path, Rest], Result],
) -> Callable[Concatenate[ml_collections.ConfigDict, Path, Rest], Result]:
    """A program that has its run folder, the second argument, for itself."""

    @functools.wraps(program)
    def alone(
        config: ml_collections.ConfigDict, workdir: Path, *args: Rest.args, **kwargs: Rest.kwargs
    ) -> Result:
        with sole_use(workdir, "take another --workdir"):
            return program(config, workdir, *args, **kwargs)

    return alone
