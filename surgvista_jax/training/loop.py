"""The way of a run from step to step: save, look, train, log, and leave nothing half done."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.training.checkpoint import Checkpoints
from surgvista_jax.training.faults import SkippedSteps, UnreadableFrames
from surgvista_jax.training.feed import Feed
from surgvista_jax.training.meters import Speed, Window
from surgvista_jax.training.peaks import peak_flops
from surgvista_jax.training.preemption import Preemption
from surgvista_jax.training.progress import MODES, Progress
from surgvista_jax.training.state import TrainState
from surgvista_jax.training.writers import MetricWriter


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How a run is watched and when it gives up.

    log_every: steps between lines of metrics.
    stop_after: the step to stop at, with a checkpoint, leaving schedules as they are; 0: the end.
    max_bad_steps: so many steps in a row without a finite loss and gradient end the run.
    max_unreadable_share: a larger share of unreadable frames ends the run.
    min_frames: frames to have seen before that share is judged.
    progress: "auto" (a bar on a terminal, else lines), "bar", "lines" or "none".
    """

    log_every: int = 20
    stop_after: int = 0
    max_bad_steps: int = 10
    max_unreadable_share: float = 0.01
    min_frames: int = 1000
    progress: str = "auto"

    def __post_init__(self) -> None:
        check_whole(self, 1, "log_every", "max_bad_steps")
        check_whole(self, 0, "stop_after", "min_frames")
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "max_unreadable_share")
        check_one_of(self, MODES, "progress")


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something to do with the state every so many steps and at the end, such as a figure.

    every: steps between two calls; 0 for none at all.
    run: called with the number of steps done and the state, on every process.
    save_before: saves a checkpoint first, for what takes long: a run that is killed meanwhile, or
        told to stop and not given the time, loses no step by it.
    when_restored: calls it for a restored state too, if it is due there: a run that was killed
        may have saved that state and not come to the call.
    """

    every: int
    run: Callable[[int, TrainState], None]
    save_before: bool = False
    when_restored: bool = False


class Batches(Protocol):
    """Host batches one after the other; closed by whoever runs them."""

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]: ...

    def __next__(self) -> Mapping[str, np.ndarray]: ...

    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True)
class Names:
    """What a person calls the data.

    clip: names the clip of an index.
    frame: names a frame by its clip's index and its place in the clip.
    """

    clip: Callable[[int], Any] = "clip {}".format
    frame: Callable[[int, int], str] = "clip {}, frame {}".format


_DEFAULT_NAMES = Names()


class Finished(NamedTuple):
    """How a run ended: the state, the steps done, and whether it was told to stop."""

    state: TrainState
    step: int
    preempted: bool


class _Dispatched(NamedTuple):
    """A step whose metrics have not been read yet."""

    step: int
    metrics: dict[str, jax.Array]
    host: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Run:
    """All that a run goes on with; it stands before its next step.

    Attributes:
        workdir: its folder.
        mesh: where batches go.
        config: see there.
        step: compiled; (state, frozen, batch) -> (state, metrics). Metrics are float32 scalars and
            have "finite", 0 when the step left the parameters as they were. May donate the state.
        state: with global arrays.
        frozen: arrays handed to each step.
        batches: this process's rows of batch `state.step` and the following; closed at the end. The
            keys "index" (int64 [b], which clip) and "unreadable" (bool [b, T]) stay on the host.
        num_steps: where the run ends.
        batch_size: clips of one step, all processes together.
        checkpoints, writer: made for this run, closed by the caller.
        meta: saved with each checkpoint, with "window" added to it.
        window: the restored checkpoint's meta["window"].
        names: what clips and frames are called in messages.
        flops_per_clip: name of a metric -> floating-point operations that it counts for one clip.
            Where the devices' peak is known it is logged as a share of it.
    """

    workdir: Path
    mesh: Mesh
    config: LoopConfig
    step: Callable[[TrainState, Any, dict], tuple[TrainState, dict]]
    state: TrainState
    frozen: Any
    batches: Batches
    num_steps: int
    batch_size: int
    checkpoints: Checkpoints
    writer: MetricWriter
    meta: Mapping[str, Any]
    window: Mapping[str, Any] | None = None
    names: Names = _DEFAULT_NAMES
    flops_per_clip: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def last(self) -> int:
        """The step to stop at, this time."""
        return min(self.num_steps, self.config.stop_after or self.num_steps)


def run_to_end(run: Run, hooks: Sequence[Hook] = ()) -> Finished:
    """Trains from `run.state.step` on; every process makes the same call.

    The order within a step: stop? save? hooks on the state so far; next batch; dispatch; read the
    metrics of the step before, while the devices work on this one. The run ends with a checkpoint,
    complete on disk, unless it ends by an error: then the checkpoints are those it had.

    Args:
        run: see there.
        hooks: in the order given.

    Raises:
        UserError: too many bad steps in a row, too many unreadable frames, a full disk.
    """
    state, last = run.state, run.last
    first = done = int(state.step)
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(Feed(run.batches, run.mesh))
        preemption = stack.enter_context(Preemption())
        progress = stack.enter_context(
            Progress(run.config.progress, first, last, active=jax.process_index() == 0)
        )
        log = _make_log(run, feed, progress)
        pending = None
        while True:
            preempted = done < last and preemption.reached(done)
            stopping = preempted or done >= last
            due = [] if preempted else _due(hooks, done, run.num_steps, restored=done == first)
            forced = stopping or any(hook.save_before for hook in due)
            saving = done > first and (forced or run.checkpoints.due(done))
            if saving or due:
                # The line of this step is written before its checkpoint, or a run that continues
                # from there would lack it.
                log.read(pending)
                pending = None
                with log.speed.paused():
                    if saving:
                        run.checkpoints.save(
                            done,
                            state.params,
                            state.opt_state,
                            {**run.meta, "window": log.window.state()},
                            average=state.average,
                            force=forced,
                        )
                    for hook in due:
                        hook.run(done, state)
            if stopping:
                break
            try:
                batch = feed.take(busy=pending.metrics if pending else ())
            except StopIteration:
                raise RuntimeError(f"the batches end at step {done} of {last}") from None
            except Exception:
                if preemption.told:  # sent to the whole process group, it kills loader workers too
                    continue
                raise
            with jax.transfer_guard("disallow"):
                state, metrics = run.step(state, run.frozen, batch.arrays)
            done += 1
            log.read(pending)
            pending = _Dispatched(done, metrics, batch.host)
            if not log.speed.running:
                # The first step compiles; waiting for it keeps that out of the speed.
                log.read(pending)
                pending = None
                log.speed.start(feed.waited)
        run.checkpoints.wait()
        if preempted and jax.process_index() == 0:
            progress.say(f"told to stop: stopped after step {done}, which is saved")
        if summary := log.unreadable.summary():
            progress.say(summary)
    return Finished(state, done, preempted)


def _due(hooks: Sequence[Hook], done: int, num_steps: int, restored: bool) -> list[Hook]:
    """The hooks to be called after `done` steps; `restored`: of this start none was done yet."""
    if restored:
        hooks = [hook for hook in hooks if hook.when_restored and done]
    return [hook for hook in hooks if hook.every and (done % hook.every == 0 or done == num_steps)]


@dataclasses.dataclass
class _Log:
    """Reads the metrics of finished steps and turns them into lines."""

    config: LoopConfig
    num_steps: int
    window: Window
    speed: Speed
    skipped: SkippedSteps
    unreadable: UnreadableFrames
    feed: Feed
    writer: MetricWriter
    progress: Progress

    def read(self, dispatched: _Dispatched | None) -> None:
        """Waits for a step to be computed and counts it; does nothing without one."""
        if dispatched is None:
            return
        step, metrics, host = dispatched
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        self.window.add(values)
        self.speed.step()
        self.progress.step()
        if "unreadable" in host:
            self.unreadable.see(step, host["index"], host["unreadable"])
        if step % self.config.log_every == 0 or step == self.num_steps:
            line = self.window.take() | self.speed.take(self.feed.waited)
            line["unreadable_frames"] = self.unreadable.replaced
            self.writer.scalars(step, line)
            self.progress.line(step, line)
        self.skipped.see(step, bool(values["finite"]), host.get("index"))


def _make_log(run: Run, feed: Feed, progress: Progress) -> _Log:
    config, say = run.config, progress.say
    peak = peak_flops(run.mesh.devices.flat[0].device_kind)
    peak = None if peak is None else peak * run.mesh.size
    return _Log(
        config=config,
        num_steps=run.num_steps,
        window=Window(run.window),
        speed=Speed(run.batch_size, run.flops_per_clip, peak),
        skipped=SkippedSteps(
            run.workdir, config.max_bad_steps, run.names.clip, say, step=int(run.state.step)
        ),
        unreadable=UnreadableFrames(
            run.workdir, config.max_unreadable_share, config.min_frames, run.names.frame, say
        ),
        feed=feed,
        writer=run.writer,
        progress=progress,
    )
