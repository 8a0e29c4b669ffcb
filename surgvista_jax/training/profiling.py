"""A trace of a few steps of a run, and what the devices did in them."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from surgvista_jax.errors import UserError
from surgvista_jax.training.goodput import Clock
from surgvista_jax.training.trace_summary import newest_trace, summarise
from surgvista_jax.writing import write_json

PROFILE = "profile"  # in the run's folder
_WARM_UP = 2  # steps of a start that are not traced: the first compiles


def add_profile(parser: argparse.ArgumentParser) -> None:
    """The option by which a run traces some of its steps."""
    parser.add_argument(
        "--profile",
        type=int,
        metavar="STEPS",
        help="trace so many steps into WORKDIR/profile, and say what the devices did in them",
    )


def overrides_of(arguments: argparse.Namespace) -> list[str]:
    """The overrides of a command line, that of `--profile` among them."""
    asked = [] if arguments.profile is None else [f"--config.loop.profile={arguments.profile}"]
    return [*arguments.overrides, *asked]


class Profiler:
    """Traces the steps of this start behind the first two; a context manager.

    A trace that cannot be written is said, and the run goes on. Several processes trace the first.

    Args:
        workdir: the run's folder.
        first: the step from which it starts.
        steps: how many are traced; 0: none.
        say: takes a line for the user.
        clock: of the run; beginning, writing and reading the trace is no training.
    """

    def __init__(
        self, workdir: Path, first: int, steps: int, say: Callable[[str], None], clock: Clock
    ):
        self._folder = workdir / PROFILE
        self._begin = first + _WARM_UP
        self._steps = steps if jax.process_index() == 0 else 0
        self._say = say
        self._clock = clock
        self._traced: int | None = None  # the step where the trace began, while it is written
        self._last = first

    def look(self, done: int, state: Any) -> None:
        """Begins or ends the trace, if that is due after so many steps.

        Args:
            state: of the run; once it is there, all steps are done.
        """
        if not self._steps:
            return
        self._last = done
        if self._traced is None and done == self._begin:
            jax.block_until_ready(state)
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # it would slow down what it looks at
            try:
                with self._clock.on("profile"):
                    jax.profiler.start_trace(str(self._folder), profiler_options=options)
            except (OSError, RuntimeError) as error:
                self._give_up(error)
            else:
                self._traced = done
        elif self._traced is not None and done >= self._traced + self._steps:
            jax.block_until_ready(state)
            with self._clock.on("profile"):
                self._end()

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._traced is not None:
            with self._clock.on("profile"):
                self._end()
        elif self._steps and exception[0] is None and self._last < self._begin:
            self._say(f"no profile: the run ends before its step {self._begin + 1}")

    def _end(self) -> None:
        """Writes the trace and tells its summary."""
        begun, self._traced = self._traced, None
        assert begun is not None  # it is under way
        steps, self._steps = self._last - begun, 0
        try:
            jax.profiler.stop_trace()
            trace = newest_trace(self._folder)
            summary = None if trace is None else summarise(trace)
            if trace is None or summary is None or not steps:
                return
            each = summary.milliseconds / steps
            values = {"first_step": begun + 1, "steps": steps, "milliseconds_a_step": each}
            write_json(
                trace.with_name("summary.json"),
                {**values, "shares": summary.shares, "longest": dict(summary.longest)},
            )
        except (OSError, RuntimeError, ValueError, UserError) as error:
            self._give_up(error)
            return
        self._say(f"profile of {steps} steps, {each:.1f} ms each: {summary.in_words()}")
        self._say(f"profile: {trace.parent} (xprof and Perfetto show it whole)")

    def _give_up(self, error: Exception) -> None:
        self._steps = 0
        self._say(f"WARNING: no profile in {self._folder}: {error}")
