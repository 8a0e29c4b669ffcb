"""Labels of clips, and the loss of what a model says of them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.tasks.finetuning import losses

# One positive in a whole dataset would otherwise outweigh everything else in its batch.
_MOST_POSITIVE = 100.0
_COMPONENTS = "ivt"  # instrument, verb, target


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the labels of a dataset are.

    Attributes:
        classes: names, C of them.
        kind: "single" or "multi".
        weight: float32 [C] or None: by which a class's clips, or with several classes a clip its
            positives, count in the loss.
        components: the triplet table whose instruments, verbs and targets are predicted beside the
            classes; "" for none.
    """

    classes: tuple[str, ...]
    kind: str
    weight: np.ndarray | None = None
    components: str = ""

    @property
    def num_components(self) -> int:
        """The classes of all components together."""
        return sum(map(len, self._component_members))

    def loss(
        self, logits: jax.Array, components: jax.Array | None, target: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Soft cross entropy, or with several classes a clip binary; means over clips.

        Args:
            logits: float32 [B, C].
            components: float32 [B, classes of all components], or None.
            target: float32 [B, C].

        Returns:
            The loss, and its parts where there are several.
        """
        weight = None if self.weight is None else jnp.asarray(self.weight)
        if self.kind == "single":
            return losses.soft_cross_entropy(logits, target, weight).mean(), {}
        loss = losses.binary_cross_entropy(logits, target, weight).mean()
        if components is None:
            return loss, {}
        parts, start = {"triplet_loss": loss}, 0
        for name, members in zip(_COMPONENTS, self._component_members, strict=True):
            present = jnp.stack([target[:, ids].max(1) for ids in members], axis=1)
            found = components[:, start : start + len(members)]
            parts[f"{name}_loss"] = losses.binary_cross_entropy(found, present).mean()
            start += len(members)
        total: Any = sum(parts.values())
        return total, parts

    @property
    def _component_members(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """Of each component and each of its classes, the triplets that share it."""
        if not self.components:
            return ()
        ids = [TABLES[self.components].component_ids(name) for name in _COMPONENTS]
        return tuple(
            tuple(np.flatnonzero(part == k) for k in range(part.max() + 1)) for part in ids
        )


def class_weights(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights by which every class counts alike, float32 [C].

    Args:
        label: of the training clips: int [N] class ids, or float [N, C] of 0 and 1.
        num_classes: C.

    Returns:
        Class ids: 1 / share, scaled so that the mean over clips is 1. Several classes a clip: clips
        without / clips with the class, 100 at most. A class that never occurs has weight 0.
    """
    if label.ndim == 2:
        positives = label.sum(0)
        weight = np.divide(
            len(label) - positives, positives, out=np.zeros(num_classes), where=positives > 0
        )
        return np.minimum(weight, _MOST_POSITIVE).astype(np.float32)
    counts = np.bincount(label, minlength=num_classes).astype(np.float64)
    inverse = np.divide(len(label), counts, out=np.zeros(num_classes), where=counts > 0)
    return (inverse / (counts > 0).sum()).astype(np.float32)
