"""Where do the newest frames of a live video lie on the device, and how are they made a clip?

They stay there: a new frame is all that is sent, a sixteenth of a clip of sixteen frames.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.data.batches.clips import ClipConfig, clip_frame_ids
from surgvista_jax.training.partition import batch_sharding, replicated


class DeviceFrames:
    """The newest frames of one video on one device, as many as a clip looks back.

    Says of each number which place of a ring holds its picture, so that a picture which several
    numbers share is sent once. Compiled for each size of frames.

    Attributes:
        reach: frames that are remembered, as far as a clip looks back, and the newest.

    Args:
        clip: with sampling "past".
        mesh: of the one device.
        fit: makes a frame on the device [size, size, 3] uint8.
    """

    def __init__(
        self,
        clip: ClipConfig,
        mesh: Mesh,
        fit: Callable[[jax.Array], jax.Array],
    ):
        self._clip = clip
        self.reach = (clip.num_frames - 1) * clip.stride + 1
        outputs = replicated(mesh), batch_sharding(mesh)
        placed = functools.partial(_placed, fit)
        self._program = jax.jit(placed, donate_argnums=0, out_shardings=outputs)
        self._where = outputs[0]
        self._ring: jax.Array | None = None
        self.restart()

    def restart(self) -> None:
        """Forgets the video; the next frame is number 0 of another."""
        if self._ring is None or self._ring.is_deleted():  # by a program that failed
            size = self._clip.size
            shape = (self.reach + 1, size, size, 3)  # one for what is sent in vain
            self._ring = jax.device_put(np.zeros(shape, np.uint8), self._where)
        self._count = 0
        self._place = 0
        self._places = np.zeros(self.reach, np.int32)  # of number k: at k % reach
        self._newest: np.ndarray | None = None
        self._waits = False

    def push(self, frame: np.ndarray) -> None:
        """Takes the next frame, uint8 RGB; it must not be changed before `clip` has computed.

        The same array as the last time is the same picture, and costs nothing.
        """
        if frame is not self._newest:
            if self._waits:
                self.clip()
            self._newest, self._waits = frame, True
            self._place = (self._place + 1) % self.reach
        self._places[self._count % self.reach] = self._place
        self._count += 1

    def clip(self) -> jax.Array:
        """The clip that ends at the newest frame, [1, T, size, size, 3] uint8, on the device."""
        ids = clip_frame_ids(self._count - 1, self._clip.num_frames, self._clip.stride)
        places = np.empty(len(ids) + 1, np.int32)
        places[:-1] = self._places[ids % self.reach]
        places[-1] = self._place if self._waits else self.reach
        self._ring, clip = self._program(self._ring, self._newest, places)
        self._waits = False
        return clip


def _placed(
    fit: Callable[[jax.Array], jax.Array], ring: jax.Array, frame: jax.Array, places: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The ring with a frame at the last of the places, and the clip of those at the others."""
    ring = jax.lax.dynamic_update_index_in_dim(ring, fit(frame), places[-1], 0)
    return ring, jnp.take(ring, places[:-1], axis=0, mode="clip")[None]
