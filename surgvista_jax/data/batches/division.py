"""The division of a dataset: videos to train on, to choose the best parameters by, to test on."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from surgvista_jax.checks import check
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.class_spread import as_array, spread
from surgvista_jax.data.batches.made_splits import lacks_splits, with_made_splits
from surgvista_jax.data.batches.patients import groups_of, lacking_in_words, shown_by
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError

SELECT_ON = ("val", "test", "last")
# Not the run's seed, so that runs of several seeds train on the same videos.
_HOLD_OUT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Division:
    """Parts of a dataset.

    Attributes:
        train: what is trained on.
        selection: what chooses the best parameters; None where the last ones are taken.
        test: what is reported; None where no split is named.
        selected_on: what `selection` is, for reports: "val", "held-out train", "test" or "last".
        made: split -> ids, where splits were made as the dataset has none; else {}.
        note: how they were made, in words; else "".
    """

    train: Dataset
    selection: Dataset | None
    test: Dataset | None
    selected_on: str
    made: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    note: str = ""

    def summary(self) -> str:
        """The parts in words."""
        tested = f", test on {len(self.test.videos)}" if self.test is not None else ""
        chosen = "the last parameters are taken"
        if self.selection is not None:
            chosen = f"select on {len(self.selection.videos)} ({self.selected_on})"
        trained = counted(len(self.train.videos), "video")
        parts = f"{self.train.name}: train on {trained}, {chosen}{tested}"
        return f"{self.note}\n{parts}" if self.note else parts


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """What of a dataset is trained on, selected on and tested on.

    Attributes:
        train, val, test: names of its splits; without a split `val`, videos are held out; an empty
            `test` asks for no predictions.
        hold_out: the share of the training videos (whole patients) that is then held out; where a
            dataset has no splits at all, the share that `val` and `test` get each.
    """

    train: str = "train"
    val: str = "val"
    test: str = "test"
    hold_out: float = 0.2

    def __post_init__(self) -> None:
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "hold_out")


def divide(dataset: Dataset, splits: SplitConfig, select_on: str) -> Division:
    """Takes the parts from a dataset's splits; no two of them share a video.

    A dataset without splits, or with "train" alone, gets those that it lacks, for this run only.

    Args:
        select_on: "val"; "test": the test videos choose as well, as in some published results; or
            "last": all training videos are trained on, and none choose.

    Raises:
        UserError: a split is missing, shares videos with another or is too small.
    """
    shares = _shares_to_make(dataset, splits, select_on)
    if shares is None:
        return _parts(dataset, splits, select_on)
    dataset, note = with_made_splits(dataset, shares)
    parts = _parts(dataset, splits, select_on)
    return dataclasses.replace(parts, made=dataset.splits, note=note)


def _shares_to_make(
    dataset: Dataset, splits: SplitConfig, select_on: str
) -> dict[str, float] | None:
    """The shares of the splits to be made beside "train"; None where the dataset's own are taken.

    Who names other splits than the usual ones wants those and no made ones.
    """
    usual = SplitConfig()
    named = (splits.train, splits.val or usual.val, splits.test or usual.test)
    if named != (usual.train, usual.val, usual.test) or not lacks_splits(dataset):
        return None
    shares = {splits.test: splits.hold_out} if splits.test else {}
    if select_on == "val" and splits.val and (splits.test or not dataset.splits):
        shares[splits.val] = splits.hold_out
    return shares if shares or not dataset.splits else None


def _parts(dataset: Dataset, splits: SplitConfig, select_on: str) -> Division:
    """The parts of a dataset that has the splits."""
    train, val, test = splits.train, splits.val, splits.test
    testing = dataset.split(test) if test else None
    if testing is not None:
        _check_disjoint(dataset, train, test)
    if select_on == "test":
        if testing is None:
            raise UserError(
                "config.select_on=test: config.data.test must name the split to select on"
            )
        return Division(dataset.split(train), testing, testing, "test")
    if select_on == "last":
        return Division(dataset.split(train), None, testing, "last")
    if val in dataset.splits or val not in ("", SplitConfig.val):
        _check_disjoint(dataset, train, val)
        if testing is not None:
            _check_disjoint(dataset, val, test)
    training, selection, held_out = training_and_validation(
        dataset, train, val, splits.hold_out, _HOLD_OUT_SEED
    )
    if not held_out:
        return Division(training, selection, testing, "val")
    drawn = {train: [v.video for v in training.videos], val: [v.video for v in selection.videos]}
    lacks = lacking_in_words(drawn, [*training.videos, *selection.videos], dataset.classes)
    note = f"{dataset.folder / 'dataset.json'}: {lacks}" if lacks else ""
    return Division(training, selection, testing, "held-out train", note=note)


def _check_disjoint(dataset: Dataset, first: str, second: str) -> None:
    shared = set(dataset.split(first).splits[first]) & set(dataset.split(second).splits[second])
    if shared:
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: splits {first!r} and {second!r} share "
            f"{counted(len(shared), 'video')}, such as {min(shared)}; training, selection and"
            " test need "
            "videos of their own (config.data.val= with no name holds out training videos)"
        )


def training_and_validation(
    dataset: Dataset, train: str, val: str, share: float, seed: int
) -> tuple[Dataset, Dataset, bool]:
    """The training and the validation videos, which are never test videos.

    Where the dataset has no split `val`, a share of the training videos is held out: whole
    patients, where they are known, drawn by the seed, which change places where either part would
    lack a class otherwise (`class_spread`).

    Args:
        dataset: with all its splits.
        train, val: names of splits.
        share: of the training videos to hold out, in (0, 1); rounded to at least one.
        seed: of the draw.

    Returns:
        Both datasets, and whether the second was held out.

    Raises:
        UserError: there is no such training split, or too little in it to hold anything out.
    """
    training = dataset.split(train)
    if val in dataset.splits and dataset.splits[val]:
        return training, dataset.split(val), False
    if not 0 < share < 1:
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: no split {val!r}, and config.data.hold_out={share}"
            " holds nothing out: name a split to select on, or a share between 0 and 1"
        )
    groups = groups_of(training.videos)
    wanted = max(1, round(share * len(training.videos)))
    # By the patient's name alone, as earlier versions drew.
    names = sorted(groups, key=lambda group: (group.partition(" ")[2], group))
    order = [names[number] for number in np.random.default_rng(seed).permutation(len(names))]
    sizes = [len(groups[group]) for group in order]
    part = [int(before < wanted) for before in np.cumsum([0, *sizes[:-1]])]
    if all(part):
        raise UserError(
            f"{dataset.folder / 'dataset.json'}: split {train!r} has {len(groups)} patient(s), of"
            " whom none can be held out for validation; name a split of other videos"
        )
    found, _ = spread(as_array([shown_by(groups[group]) for group in order]), sizes, part, 2)
    held = {
        video.video
        for group, number in zip(order, found, strict=True)
        for video in groups[group]
        if number
    }
    parts = [
        dataclasses.replace(
            training,
            splits={name: tuple(video.video for video in chosen)},
            videos=tuple(chosen),
        )
        for name, chosen in (
            (train, [video for video in training.videos if video.video not in held]),
            (val, [video for video in training.videos if video.video in held]),
        )
    ]
    return parts[0], parts[1], True
