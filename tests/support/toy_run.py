"""A run in miniature: a toy step, batches by their step, and a start on a folder."""

import contextlib
import json

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.training import loop, partition
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.state import TrainState
from surgvista_jax.training.writers import MetricWriter

BATCH = 8
STEPS = 20
LOCAL = {"local_every", "local_folder", "digests"}


def toy_step(state, frozen, batch):
    """Momentum descent towards the mean of the batch; skipped when that is not finite."""
    error = state.params["w"] - batch["x"].mean(axis=0) * frozen
    loss = jnp.square(error).mean()
    finite = jnp.isfinite(loss)
    moment = state.opt_state["m"] * 0.9 + error
    params, moments = jax.tree.map(
        lambda new, old: jnp.where(finite, new, old),
        ({"w": state.params["w"] - 0.1 * moment}, {"m": moment}),
        (state.params, state.opt_state),
    )
    new = TrainState(state.step + 1, params, moments)
    rate = 0.1 / new.step
    return new, {"loss": loss, "learning_rate": rate, "finite": finite.astype(jnp.float32)}


class Batches:
    """Host batches as a function of the step.

    start: the first one's step.
    x: changes the values of a batch, by its step.
    at: step -> what to do when its batch is asked for.
    unreadable: steps whose first clip has an unreadable second frame.
    black: steps of which no frame can be read.
    """

    def __init__(self, start, x=lambda step, x: x, at=None, unreadable=(), black=()):
        self.step = start
        self.closed = False
        self._x, self._at, self._unreadable, self._black = x, at or {}, unreadable, black

    def __iter__(self):
        return self

    def __next__(self):
        step = self.step
        self._at.get(step, lambda: None)()
        self.step += 1
        values = np.random.default_rng(step).normal(size=(BATCH, 4)).astype(np.float32)
        unreadable = np.full((BATCH, 2), step in self._black)
        unreadable[0, 1] |= step in self._unreadable
        index = np.arange(BATCH) + BATCH * (step % 3)
        return {"x": self._x(step, values), "index": index, "unreadable": unreadable}

    def close(self):
        self.closed = True


def train(
    folder, *, log_every=5, save_every=5, step=None, make_batches=Batches, hooks=(), **options
):
    """One start of a run on `folder`, continuing from its newest checkpoint as a program does."""
    mesh = partition.make_mesh(partition.MeshConfig(-1, 2, 1))
    whole = partition.replicated(mesh)
    state = TrainState(jnp.int32(0), {"w": jnp.zeros(4)}, {"m": jnp.zeros(4)})
    state = jax.device_put(state, whole)
    frozen = jax.device_put(jnp.float32(2), whole)
    keys = {"stop_after", "max_bad_steps", "max_unreadable_share", "min_frames", "profile"}
    keys |= {"patience", "on_standstill"}
    config = {key: options.pop(key) for key in keys & options.keys()}
    with contextlib.ExitStack() as stack:
        local = {key: options.pop(key) for key in LOCAL & options.keys()}
        kept = CheckpointConfig(save_every, **local)
        checkpoints = stack.enter_context(Checkpoints(folder, kept))
        window, start = None, 0
        if checkpoints.begun():
            restored = checkpoints.restore(state.params, state.opt_state)
            window, start = restored.meta["window"], restored.step
            number = jax.device_put(jnp.int32(restored.step), whole)
            state = TrainState(number, restored.params, restored.opt_state)
        batches = make_batches(start)
        try:
            run = loop.Run(
                workdir=folder,
                mesh=mesh,
                config=LoopConfig(log_every=log_every, progress="lines", **config),
                step=step or jax.jit(toy_step, donate_argnums=0),
                state=state,
                frozen=frozen,
                batches=batches,
                num_steps=STEPS,
                batch_size=BATCH,
                checkpoints=checkpoints,
                writer=stack.enter_context(MetricWriter(folder, active=True, step=start)),
                meta={"seed": 1},
                window=window,
                **options,
            )
            return loop.run_to_end(run, hooks)
        finally:
            assert batches.closed


def metrics(folder, *keys):
    """The lines of metrics.jsonl, only these keys of them."""
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: json.loads(line)[key] for key in ("step", *keys)} for line in text]
