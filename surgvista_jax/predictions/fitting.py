"""Whether predictions are such as a protocol scores, and what brings them into its form."""

from dataclasses import replace

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import LABEL_KINDS, TASKS
from surgvista_jax.metrics.calibration import are_probabilities
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.predictions.class_names import check_shared, column_order
from surgvista_jax.predictions.frames import Predictions


def check_meta(predictions: Predictions, protocol: Protocol, classes: tuple[str, ...]) -> None:
    """Refuses what a file says of its task, its labels and its classes, if that is not scored.

    Args:
        classes: of the protocol, or those that the user names instead.
    """
    meta = predictions.meta or {}
    said = {}
    for key in ("task", "label_kind"):
        said[key] = "" if meta.get(key) is None else meta[key]
        if not isinstance(said[key], str):
            raise UserError(
                f"{predictions.source}: meta key {key!r} is {meta[key]!r:.60}; not text"
            )
    if said["label_kind"] not in ("", *LABEL_KINDS):
        raise UserError(
            f"{predictions.source}: meta key 'label_kind' is {said['label_kind']!r:.60}; it is one "
            f"of {', '.join(LABEL_KINDS)}"
        )
    names = predictions.classes
    told = len(names) if classes and len(names) == len(classes) else 0
    published = {task.published_name: task.name for task in TASKS.values() if task.published_name}
    task = published.get(said["task"], said["task"])
    kinds = [said["label_kind"]]
    if predictions.label is not None:
        kinds.append("single" if predictions.label.ndim == 1 else "multi")
    for kind in filter(None, kinds) if any(kinds) else ("",):
        if wrong := protocol.misfit(task, kind, () if told else names):
            raise UserError(f"{predictions.source}: {wrong}")


def reordered(predictions: Predictions, classes: tuple[str, ...], scorer: str) -> Predictions:
    """Brings a file that names the same classes in another order into the order wanted."""
    other = check_shared(predictions.classes, classes, predictions.source, scorer)
    if other:
        predictions = replace(predictions, notes=(*predictions.notes, other))
    order = column_order(predictions.classes, classes, predictions.source)
    if np.array_equal(order, np.arange(len(order))):
        return predictions
    label, score = predictions.label, predictions.score
    assert score is not None  # decisions alone come without names of classes
    if label is not None and label.ndim == 2:
        label = label[:, order]
    elif label is not None:
        known = (label >= 0) & (label < len(order))
        label = np.where(known, np.argsort(order)[np.where(known, label, 0)], label)
    note = f"{predictions.source}: classes were brought into the protocol's order"
    return replace(
        predictions,
        score=score[:, order],
        label=label,
        classes=tuple(classes),
        notes=(*predictions.notes, note),
    )


def labelled(predictions: Predictions) -> Predictions:
    """Without the frames that have no label.

    Raises:
        UserError: none has one.
    """
    if predictions.label is None:
        raise UserError(f"{predictions.source}: holds no labels; give --truth, a folder or a CSV")
    label = predictions.label
    known = label >= 0 if label.ndim == 1 else np.asarray((label >= 0).all(axis=1))
    if known.all():
        return predictions
    count = int(np.count_nonzero(~known))
    lost = counted(count, "unlabelled frame was", "unlabelled frames were")
    note = f"{predictions.source}: {lost} left out"
    return predictions.take(known, note)


def scored(predictions: Predictions, protocol: Protocol) -> Predictions:
    """Without the frames whose truth a protocol does not score."""
    left_out = getattr(protocol.choices, "left_out", ())
    label = predictions.label
    if not left_out or label is None or label.ndim != 1:
        return predictions
    odd = np.isin(label, left_out)
    if not odd.any():
        return predictions
    note = (
        f"{predictions.source}: {counted(int(odd.sum()), 'frame was', 'frames were')} left"
        " out, whose truth is of "
        f"class {', '.join(map(str, left_out))}, which {protocol.name} does not score"
    )
    return predictions.take(~odd, note)


def fitted(
    predictions: Predictions, protocol: Protocol, classes: tuple, *, one: bool
) -> Predictions:
    """Checks classes, shapes and values; fills in decisions and class names.

    Args:
        one: whether several operations are one sequence, longer than any.
    """
    source, label, score = predictions.source, predictions.label, predictions.score
    assert label is not None
    several = protocol.label_kind == "multi"
    if several != (label.ndim == 2) and (
        wrong := protocol.misfit("", "single" if several else "multi", ())
    ):
        raise UserError(f"{source}: {wrong}")
    if several and (score is None or label.shape != score.shape):
        columns = "no scores" if score is None else f"scores of {score.shape[1]}"
        raise UserError(f"{source}: labels of {label.shape[1]} classes, but {columns}")
    classes = classes or predictions.classes
    held = score.shape[1] if score is not None else 0
    if not classes:
        known = [values for values in (label, predictions.decision) if values is not None]
        top = max(int(values.max(initial=0)) for values in known) + 1
        classes = tuple(f"class {k}" for k in range(held or top))
    if held and held != len(classes):
        raise UserError(
            f"{source}: {held} columns of scores, but {protocol.name} has"
            f" {counted(len(classes), 'class', 'classes')}"
        )
    decision = predictions.decision
    if not several:
        if decision is None:
            assert score is not None  # a file holds one or the other
            decision = score.argmax(1)
        if (decision < 0).any():
            row = int(np.argmax(decision < 0))
            raise UserError(
                f"{source}: no class is predicted for frame {predictions.frame[row]} of "
                f"{predictions.videos[predictions.video_index[row]]}, which has a label; each "
                "labelled frame needs one"
            )
        high = max(int(label.max()), int(decision.max()))
        if high >= len(classes):
            raise UserError(
                f"{source}: class {high} occurs, but the"
                f" {counted(len(classes), 'class is', 'classes are')} "
                f"0..{len(classes) - 1}"
            )
    notes = predictions.notes
    if not several and score is not None and not are_probabilities(score):
        notes += (f"{source}: scores are not probabilities, so calibration is left out",)
    if not one:
        _check_length(predictions, protocol)
    return replace(predictions, classes=tuple(classes), decision=decision, notes=notes)


def _check_length(predictions: Predictions, protocol: Protocol) -> None:
    """A wrong fps shows as operations of seconds or of days."""
    last = [predictions.frame[predictions.rows(k)][-1] for k in range(len(predictions.videos))]
    median = float(np.median(last)) / predictions.fps
    if median < protocol.shortest_seconds or median > protocol.longest_seconds:
        short = median < protocol.shortest_seconds
        lasts = f"{median:.0f} s, too short" if short else f"{median / 3600:.1f} h, too long"
        other = TASKS[protocol.task].protocol
        any_length = f" ({other} takes videos of any length)" if other else ""
        if not short and len(predictions.videos) == 1:
            any_length += "; are they several videos? then --boundaries tells them apart"
        raise UserError(
            f"{predictions.source}: at fps {predictions.fps:g} the median video lasts {lasts} for "
            f"an operation of {protocol.name}; is fps {1 if short else 25} meant?{any_length}"
        )
