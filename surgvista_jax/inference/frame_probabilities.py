"""What does an MS-TCN say of the frames of a video, of all at once or as they come?

A causal one goes frame by frame on processors in both cases, by one compiled program: what it says
of a frame is the same to the last bit however many are given at a time. Elsewhere all frames of a
video are computed side by side.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from surgvista_jax.data.batches.sequences import VideoSequence, pad_sequence
from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.models import mstcn_state
from surgvista_jax.models.mstcn import MsTcn, MsTcnConfig
from surgvista_jax.models.mstcn_state import State

_AT_ONCE = 32  # frames that the program is given; where there are fewer, the others are not read


class FrameByFrame:
    """A causal MS-TCN along a video, by its parameters."""

    def __init__(self, config: MsTcnConfig):
        self._config = config
        self._run: Any = jax.jit(functools.partial(mstcn_state.run, config))

    def begin(self) -> State:
        """The state before the first frame."""
        return mstcn_state.begin(self._config)

    def compile(self, params: Any) -> None:
        """Compiles it now, for parameters like these; it is not compiled again."""
        width = params["stage0"]["embedding"]["kernel"].shape[0]
        rows = np.zeros((_AT_ONCE, width), np.float32)
        self._run = self._run.lower(params, self.begin(), rows, np.int32(0)).compile()

    def __call__(self, params: Any, state: State, features: np.ndarray) -> tuple[np.ndarray, State]:
        """Goes on by some frames.

        Args:
            params: of the MS-TCN.
            state: after the frame before.
            features: float32 [N, F], at least one row.

        Returns:
            Probabilities float32 [N, C], and the state after the last frame.
        """
        parts = []
        for first in range(0, len(features), _AT_ONCE):
            part = features[first : first + _AT_ONCE]
            rows = np.zeros((_AT_ONCE, features.shape[1]), np.float32)
            rows[: len(part)] = part
            found, state = self._run(params, state, rows, np.int32(len(part)))
            parts.append(np.asarray(found)[: len(part)])
        return np.concatenate(parts), state


@dataclasses.dataclass(frozen=True)
class FrameProbabilities:
    """Probabilities of all frames of a video at a time.

    Attributes:
        config: sizes of the MS-TCN.
        num_classes: C.
        pad_to: lengths are rounded up to its multiples where frames are computed side by side.
    """

    config: MsTcnConfig
    num_classes: int
    pad_to: int

    def __call__(self, params: Any, features: np.ndarray) -> np.ndarray:
        """float32 [L, C] of the features [L, F] of all frames of a video."""
        if self.config.causal and jax.default_backend() == "cpu":
            return self._along(params, self._along.begin(), features)[0]
        unlabelled = np.full(len(features), UNLABELLED, np.int32)
        batch = pad_sequence(VideoSequence("", features, unlabelled), self.pad_to)
        found = self._side_by_side(params, batch["features"], batch["mask"])
        return np.asarray(found)[0, : len(features)]

    @functools.cached_property
    def _side_by_side(self) -> Callable[[Any, np.ndarray, np.ndarray], jax.Array]:
        """Compiled, for a length that is asked for again."""
        module = MsTcn(self.config, self.num_classes)

        def probabilities(params: Any, features: jax.Array, mask: jax.Array) -> jax.Array:
            logits: Any = module.apply({"params": params}, features, mask, False)
            return jax.nn.softmax(logits[-1])

        return jax.jit(probabilities)

    @functools.cached_property
    def _along(self) -> FrameByFrame:
        return FrameByFrame(self.config)
