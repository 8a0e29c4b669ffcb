"""How are own labels weighted, and what is done to the clips that show them?"""

from collections.abc import Iterator

import ml_collections

from surgvista_jax.tasks.choosing.choice import Choice
from surgvista_jax.tasks.choosing.facts import DataFacts

USUAL_SIZE = 224  # pixels
_IMBALANCE = 10.0  # most over fewest frames of a class, from which classes are weighted


def weighting(data: DataFacts, classes: tuple[str, ...]) -> Iterator[Choice]:
    """Whether classes are weighted."""
    counts = {name: count for name, count in zip(classes, data.counts, strict=True) if count}
    if len(counts) < 2:
        return
    most, fewest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    times = counts[most] / counts[fewest]
    said = f"{most} has {times:.3g} times the frames of {fewest}"
    if times == 1:
        said = "all have as many frames"
    if data.label_kind == "single" and times >= _IMBALANCE:
        yield Choice("class_weights", "balanced", said)
    else:
        balanced = f" (balanced from {_IMBALANCE:g} times on)"
        kind = balanced if data.label_kind == "single" else "; each label is learnt by itself"
        yield Choice("class_weights", "none", f"{said}{kind}")


def mixing(data: DataFacts, config: ml_collections.ConfigDict) -> Iterator[Choice]:
    """What is done to clips, beside augmentation."""
    if data.label_kind == "multi":
        why = "clips with several labels are not mixed, as published"
    elif config.model is not None and config.clip.size < USUAL_SIZE:
        why = "small models and clips have little to spare"
    else:
        return
    for key in ("mixup", "cutmix", "smoothing"):
        yield Choice(f"mix.{key}", 0.0, why)
    if config.clip.size < USUAL_SIZE:
        yield Choice("mix.erase", 0.0, "of small clips little would be left")
        yield Choice("head.dropout", 0.0, "small models need none")
        yield Choice("augment", {"randaugment": {"operations": 0}, "flip": 0.0}, why)
