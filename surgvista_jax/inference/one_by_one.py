"""How do processors compute clips one by one, so that no clip's numbers depend on its neighbours?

A matrix product of more rows adds up in another order, and last digits differ: with batches they
would follow the batch size. A processor is hardly faster with many clips than with one after the
other, which accelerators need.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.training.feed import Batches
from surgvista_jax.training.partition import batch_sharding, num_shares, process_rows

LEFT = "left"  # of a piece: how many of its batch follow


def clips_at_once(mesh: Mesh, batch_size: int) -> int:
    """Clips that a program is given over all devices: of processors one each, else the batch."""
    return num_shares(mesh) if mesh.devices.flat[0].platform == "cpu" else batch_size


@dataclasses.dataclass
class Pieces(Iterator[dict[str, np.ndarray]]):
    """Batches cut into pieces of one row a device; `LEFT` tells the last one of each batch.

    Attributes:
        batches: with the key `weight`, 0 for padding; closed with the pieces.
        mesh: whose devices share a batch out.
    """

    batches: Batches
    mesh: Mesh

    def __post_init__(self) -> None:
        self._pieces = self._cut()

    def __next__(self) -> dict[str, np.ndarray]:
        return next(self._pieces)

    def close(self) -> None:
        """Closes the batches, also while one is waited for."""
        self.batches.close()

    def _cut(self) -> Iterator[dict[str, np.ndarray]]:
        shares = len(process_rows(batch_sharding(self.mesh), num_shares(self.mesh)))
        alone = jax.process_count() == 1  # others would compute what one leaves out
        for batch in self.batches:
            shared = {
                name: rows.reshape(shares, -1, *rows.shape[1:]) for name, rows in batch.items()
            }
            real = shared["weight"].any(0) if alone else np.ones(shared["weight"].shape[1], bool)
            kept = np.flatnonzero(real).tolist() or [0]
            for left, row in zip(reversed(range(len(kept))), kept, strict=True):
                piece = {name: rows[:, row] for name, rows in shared.items()}
                yield {**piece, LEFT: np.array(left)}


def rejoined(pieces: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The rows of a batch in their order, of all its pieces [shares, …] one after the other."""
    found = {name: np.stack([piece[name] for piece in pieces], 1) for name in pieces[0]}
    return {name: rows.reshape(-1, *rows.shape[2:]) for name, rows in found.items()}
