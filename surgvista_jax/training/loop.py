"""The way of a run from step to step: save, look, train, log, and leave nothing half done."""

import contextlib
from collections.abc import Sequence

import jax
import numpy as np

from surgvista_jax.host_memory import give_back
from surgvista_jax.training import processes
from surgvista_jax.training.faults import SkippedSteps, TooManySkipped
from surgvista_jax.training.feed import Batches, Feed
from surgvista_jax.training.goodput import PARTS
from surgvista_jax.training.hooks import Hook, asides, due_hooks, name_of
from surgvista_jax.training.loop_config import LoopConfig
from surgvista_jax.training.meters import TIME, Speed, Window
from surgvista_jax.training.peaks import peak_flops
from surgvista_jax.training.preemption import Preemption, Stopped
from surgvista_jax.training.profiling import Profiler
from surgvista_jax.training.progress import Progress
from surgvista_jax.training.standstill import Standstill
from surgvista_jax.training.state import is_finite
from surgvista_jax.training.step_log import Dispatched, StepLog, unwritten_of
from surgvista_jax.training.time_left import TimeLeft
from surgvista_jax.training.under_way import Finished, Run
from surgvista_jax.training.unreadable import TooManyUnreadable, UnreadableFrames
from surgvista_jax.training.watchdog import standstill_of

__all__ = ["Batches", "Finished", "Hook", "LoopConfig", "Run", "run_to_end"]


def run_to_end(run: Run, hooks: Sequence[Hook] = ()) -> Finished:
    """Trains from `run.state.step` on; every process makes the same call.

    The order within a step: stop? save? hooks on the state so far; next batch, which is looked at
    before it is trained on; dispatch; read the metrics of the step before, while the devices work
    on this one. The run ends with a checkpoint, complete on disk. After an error too, where one
    process trains and its state is good.

    Args:
        run: see there.
        hooks: in the order given.

    Raises:
        UserError: too many bad steps in a row, too many unreadable frames, a full disk.
    """
    run.clock.go_on((run.window or {}).get(TIME), run.writer.dropped)
    with contextlib.ExitStack() as stack:
        preemption = stack.enter_context(Preemption())
        feed = stack.enter_context(Feed(run.batches, run.mesh))
        first, active = int(run.state.step), jax.process_index() == 0
        save_every = run.checkpoints.config.save_every
        between = asides(hooks, save_every, first, run.last, run.num_steps)
        left = TimeLeft(first, run.last, between)
        progress = stack.enter_context(Progress(run.config.progress, left, active))
        still = stack.enter_context(standstill_of(run.config, run.workdir))
        profiler = Profiler(run.workdir, first, run.config.profile, progress.say, run.clock)
        stack.enter_context(profiler)
        log = _make_log(run, feed, progress)
        course = _Course(run, hooks, preemption, feed, log, profiler, still)
        try:
            finished = course.to_end()
        except Exception as error:
            course.rescue(error)
            raise
        if finished.preempted and active:
            progress.say(f"told to stop: stopped after step {finished.step}, which is saved")
        if summary := course.log.unreadable.summary():
            progress.say(summary)
    return finished


class _Course:
    """A run under way: the state after so many steps, and the step whose metrics are not read."""

    def __init__(
        self,
        run: Run,
        hooks: Sequence[Hook],
        preemption: Preemption,
        feed: Feed,
        log: StepLog,
        profiler: Profiler,
        still: Standstill,
    ):
        self.log = log
        self._run = run
        self._hooks = hooks
        self._preemption = preemption
        self._feed = feed
        self._profiler = profiler
        self._still = still
        self._state = run.state
        self._first = self._done = int(run.state.step)
        self._pending: Dispatched | None = None
        self._saving = False
        self._compiled_for: set[frozenset[tuple[str, tuple[int, ...]]]] = set()  # batches' shapes

    def to_end(self) -> Finished:
        """Trains until the last step, or until it is told to stop."""
        self.log.write()
        self._run.clock.switch("train")
        told, last = False, self._run.last
        while True:
            told = told or (self._done < last and self._preemption.reached(self._done))
            stopping = told or self._done >= last
            try:
                self._save_and_look(told, stopping)
                with self.log.speed.paused():
                    self._profiler.look(self._done, self._state)
                if stopping:
                    break
                self._advance()
            except Stopped:
                told = True
        self._run.clock.switch("save")
        self._run.checkpoints.wait()
        return Finished(self._state, self._done, told)

    def _save_and_look(self, told: bool, stopping: bool) -> None:
        """Saves the state and calls the hooks that are due."""
        run, done, restored = self._run, self._done, self._done == self._first
        left = self.log.progress.time_left
        due = [] if told else due_hooks(self._hooks, done, run.num_steps, restored)
        forced = stopping or any(hook.save_before for hook in due)
        saving = done > self._first and (forced or run.checkpoints.due(done))
        saving_local = not saving and done > self._first and run.checkpoints.local_due(done)
        if not (saving or due or saving_local):
            return
        # The line of this step is written before its checkpoint, or a run that continues from
        # there would lack it.
        self._read()
        with self.log.speed.paused():
            if saving:
                self._still.at(done, f"saving step {done}")
                with run.clock.on("save"), left.aside("save", done):
                    self._save(force=forced)
                self._still.alive()
            if saving_local:
                self._still.at(done, f"saving step {done} on its own disk")
                with run.clock.on("save"):
                    self._save_local()
                self._still.alive()
            for hook in due:
                self._still.at(done, f"busy with {PARTS[hook.part]} after step {done}")
                with run.clock.on(hook.part), left.aside(name_of(self._hooks, hook), done):
                    hook.run(done, self._state)
                self._still.alive()
            give_back()  # what was compiled, saved or drawn took more than steps do

    def _advance(self) -> None:
        """Does one step."""
        run, log = self._run, self.log
        waited = self._feed.waited
        self._still.at(self._done, f"waiting for the data of step {self._done + 1}")
        try:
            batch = self._feed.take(busy=self._pending.metrics if self._pending else ())
        except StopIteration:
            raise RuntimeError(f"the batches end at step {self._done} of {run.last}") from None
        except Exception as error:
            if self._preemption.told:  # sent to the whole process group, it kills workers too
                raise Stopped from error
            raise
        finally:
            run.clock.move(self._feed.waited - waited, "data")
        index = batch.host.get("index")
        if index is not None and "unreadable" in batch.host:
            log.unreadable.see(self._done + 1, index, batch.host["unreadable"])
        shapes = frozenset((name, array.shape) for name, array in batch.arrays.items())
        known = shapes in self._compiled_for
        self._compiled_for.add(shapes)
        part = contextlib.nullcontext() if known else run.clock.on("compile")
        if not known:
            self._still.compiling()
        with part, jax.transfer_guard("disallow"):
            self._state, metrics = run.step(self._state, run.frozen, batch.arrays)
        self._done += 1
        before = self._pending
        self._pending = Dispatched(self._done, metrics, index, log.unreadable.replaced)
        self._count(before)
        if not log.speed.running:
            # The first step compiles; waiting for it keeps that out of the speed.
            self._read()
            give_back()
            log.speed.start(self._feed.waited)

    def _read(self) -> None:
        pending, self._pending = self._pending, None
        self._count(pending)

    def _count(self, dispatched: Dispatched | None) -> None:
        """Waits for a step to be computed, and counts it."""
        if dispatched is None:
            return
        self._still.at(self._done, f"computing step {dispatched.step}")
        self.log.read(dispatched)
        self._still.ended()

    def _save(self, force: bool) -> bool:
        run, state = self._run, self._state
        self._saving = True
        saved = run.checkpoints.save(
            self._done,
            state.params,
            state.opt_state,
            {**run.meta, "window": self.log.state()},
            average=state.average,
            force=force,
        )
        self._saving = False
        self.log.unreadable.mark()
        return saved

    def _save_local(self) -> None:
        """Not where a process could not read frames: an error may yet disown these steps."""
        if processes.on_all_processes(np.array(not self.log.unreadable.spoilt)).all():
            state, meta = self._state, {**self._run.meta, "window": self.log.state()}
            self._run.checkpoints.save_local(
                self._done, state.params, state.opt_state, meta, average=state.average
            )

    def rescue(self, error: Exception) -> None:
        """Saves the steps since the last checkpoint, if they are good, before an error ends it all.

        They are not where the parameters or moments are not finite, where too many steps were
        skipped, and where frames went missing and these steps had some of them. Several processes
        cannot: the others do not know of the error.
        """
        nothing_new = self._saving or self._done == self._first
        spoilt = isinstance(error, TooManyUnreadable) and self.log.unreadable.spoilt
        if nothing_new or spoilt or isinstance(error, TooManySkipped) or jax.process_count() > 1:
            return
        with contextlib.suppress(Exception):  # the first error is the one to tell
            try:
                self._read()
            except TooManySkipped:
                return
            except Exception:
                pass  # the step is counted, and its line is saved with the checkpoint
            if is_finite(self._state) and self._save(force=True):
                self._run.checkpoints.wait()
                self.log.progress.say(f"step {self._done} is saved, before an error ends the run")


def _make_log(run: Run, feed: Feed, progress: Progress) -> StepLog:
    config, say = run.config, progress.say
    peak = peak_flops(run.mesh.devices.flat[0].device_kind)
    peak = None if peak is None else peak * run.mesh.size
    return StepLog(
        log_every=config.log_every,
        num_steps=run.num_steps,
        window=Window(run.window),
        speed=Speed(run.batch_size, run.flops_per_clip, peak),
        skipped=SkippedSteps(
            run.workdir, config.max_bad_steps, run.names.clip, say, step=int(run.state.step)
        ),
        unreadable=UnreadableFrames(run.workdir, config.unreadable, run.names.frame, say),
        feed=feed,
        writer=run.writer,
        progress=progress,
        unwritten=unwritten_of(run.window),
        clock=run.clock,
    )
