"""One update: gradients over micro-batches, the finiteness check, the new state."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from surgvista_jax.training.state import TrainState

# (params, frozen, micro-batch, key, average) -> (loss [], metrics: float32 scalars), both means
# over clips; `average` is the running mean of the parameters, None where none is kept.
LossFunction = Callable[[Any, Any, dict, jax.Array, Any], tuple[jax.Array, dict[str, jax.Array]]]


def make_train_step(
    loss_function: LossFunction,
    optimizer: optax.GradientTransformation,
    learning_rate: Callable[[jax.Array], jax.Array],
    *,
    accumulate: int,
    seed: int,
    average: float = 0.0,
) -> Callable[[TrainState, Any, dict], tuple[TrainState, dict[str, jax.Array]]]:
    """Makes the function that is compiled as the training step.

    Args:
        loss_function: mean loss and metrics of a micro-batch.
        optimizer: without its learning rate.
        learning_rate: of an update, by its number.
        accumulate: micro-batches that a batch is cut into; their gradients are averaged.
        seed: all randomness of step n is drawn from (seed, n).
        average: the decay of the running mean of the parameters; 0 if the state has none. Update n
            (from 0) takes min(average, (1 + n) / (10 + n)), or the random start would stay in the
            mean of a short run. The loss sees the mean over the updates before.

    Returns:
        step(state, frozen, batch) -> (state, metrics). `frozen` are arrays that get no gradient.
        When loss or gradient is not finite, parameters and moments stay as they were, the number of
        the step still rises, and the metric "finite" is 0.
    """

    def gradients(
        params: Any, frozen: Any, batch: dict, key: jax.Array, mean: Any
    ) -> tuple[tuple[jax.Array, dict[str, jax.Array]], Any]:
        grad = jax.value_and_grad(loss_function, has_aux=True)
        if accumulate == 1:
            return grad(params, frozen, batch, jax.random.fold_in(key, 0), mean)

        # Interleaved, not blocked: a blocked cut would move clips between devices.
        micro_batches = jax.tree.map(
            lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), batch
        )

        def add(total: Any, numbered: tuple[jax.Array, dict]) -> tuple[Any, None]:
            number, micro_batch = numbered
            new = grad(params, frozen, micro_batch, jax.random.fold_in(key, number), mean)
            return jax.tree.map(jnp.add, total, new), None

        first = jax.tree.map(lambda x: x[0], micro_batches)
        shapes = jax.eval_shape(grad, params, frozen, first, key, mean)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        total, _ = jax.lax.scan(add, zeros, (jnp.arange(accumulate), micro_batches))
        return jax.tree.map(lambda x: x / accumulate, total)

    def step(state: TrainState, frozen: Any, batch: dict) -> tuple[TrainState, dict]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        (loss, metrics), grads = gradients(state.params, frozen, batch, key, state.average)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        rate = learning_rate(state.step)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
        mean = None
        if average:
            decay = jnp.minimum(average, (1 + state.step) / (10 + state.step))
            mean = jax.tree.map(lambda m, p: decay * m + (1 - decay) * p, state.average, params)

        def keep_if_bad(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)

        state = TrainState(
            step=state.step + 1,
            params=keep_if_bad(params, state.params),
            opt_state=keep_if_bad(opt_state, state.opt_state),
            average=keep_if_bad(mean, state.average),
        )
        metrics = metrics | {
            "loss": loss,
            "learning_rate": rate,
            "grad_norm": grad_norm,
            "finite": finite.astype(jnp.float32),
        }
        return state, metrics

    return step
