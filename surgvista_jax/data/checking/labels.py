"""What is wrong with the labels and the splits of a dataset."""

from collections.abc import Mapping

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.division import SplitConfig
from surgvista_jax.data.batches.made_splits import lacks_splits, what_splits_there_are
from surgvista_jax.data.batches.patients import patients_of
from surgvista_jax.data.cautions import unlearnt_in_splits
from surgvista_jax.data.checking.report import Finding
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.datasets import registry
from surgvista_jax.data.labels.coverage import class_counts, in_no_split, named
from surgvista_jax.data.labels.names import near_equal

# A phase lasts minutes.  Where the middle one lasts less, rates or numbers are mixed up.
SHORTEST_PHASE = 5.0  # seconds
# A shorter video is a clip of an operation, which says nothing of how long phases last.
SHORTEST_OPERATION = 30.0  # seconds
LONG_GAP = 60.0  # seconds


def class_shares(dataset: Dataset) -> dict[str, list[int]]:
    """Split -> number of frames that show each class."""
    num_classes = len(dataset.classes)
    none = np.zeros(num_classes, int)  # of a split without videos
    return {
        split: sum(
            (class_counts(v.labels, num_classes) for v in dataset.split(split).videos), none
        ).tolist()
        for split in dataset.splits
        if dataset.classes
    }


def check_labels(dataset: Dataset) -> list[Finding]:
    """Gaps, classes that never occur, and implausibly short segments."""
    findings = _gaps(dataset)
    findings += _absent(dataset)
    if dataset.source_format not in registry() and (text := near_equal(dataset.classes)):
        findings.append(Finding("warning", "classes", text))
    if dataset.task == "phase":
        whole = [v for v in dataset.videos if v.num_frames / v.fps >= SHORTEST_OPERATION]
        lengths = [s for video in whole for s in _segment_seconds(video)]
        if lengths and np.median(lengths) < SHORTEST_PHASE:
            text = (
                f"half of all phases last less than {np.median(lengths):.1f} s: are the labels at "
                "another rate than the frames, or shuffled?"
            )
            findings.append(Finding("error", "labels", text))
    return findings


def _absent(dataset: Dataset) -> list[Finding]:
    """Classes that a split lacks: named for the usual splits, counted for the others.

    What a training split lacks cannot be learnt, which is said of every one.
    """
    findings = [Finding("warning", "classes", text) for text in unlearnt_in_splits(dataset)]
    others = 0
    for split, counts in class_shares(dataset).items():
        absent = [dataset.classes[i] for i, count in enumerate(counts) if not count]
        if split.rpartition("/")[2] == "train":
            continue
        if "/" in split:
            others += bool(absent)
        elif absent:
            shown = ", ".join(absent[:4]) + (", …" if len(absent) > 4 else "")
            text = f"split {split}: {len(absent)} of {len(counts)} classes do not occur: {shown}"
            findings.append(Finding("warning", "classes", text))
    if others:
        findings.append(
            Finding("note", "classes", f"{others} splits of other schemes lack classes")
        )
    return findings


def check_splits(dataset: Dataset) -> list[Finding]:
    """The same video or patient on two sides of a split, and videos that are in none."""
    findings = []
    for scheme, splits in schemes(dataset).items():
        names = list(splits)
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                findings += _shared(
                    dataset, scheme, (first, splits[first]), (second, splits[second])
                )
    if lacks_splits(dataset) and dataset.task != "none":
        text = (
            f"{what_splits_there_are(dataset)}: a run draws {SplitConfig.hold_out:.0%} of the"
            " videos to select on and as many to test on, by patient where patients are known"
        )
        findings.append(Finding("note", "splits", text))
    elif not findings and len(dataset.splits) > 1:
        findings.append(_sides_kept(dataset))
    return findings + _left_out(dataset)


def _left_out(dataset: Dataset) -> list[Finding]:
    """Videos that no split names, where there are splits."""
    text = in_no_split(dataset)
    return [Finding("note", "splits", text)] if text else []


def _sides_kept(dataset: Dataset) -> Finding:
    """What may be said where no video and no known patient is on two sides."""
    patients = {video.patient_key for video in dataset.videos} - {None}
    unknown = sum(video.patient_key is None for video in dataset.videos)
    if not patients:
        text = "no video is on two sides; no patients are known, so one may be on two sides"
        return Finding("note", "splits", text)
    if unknown:
        text = (
            f"no video and none of {len(patients)} known patients is on two sides; of {unknown}"
            " videos the patient is not known"
        )
        return Finding("note", "splits", text)
    return Finding("good", "splits", "no video and no patient is on two sides")


def schemes(dataset: Dataset) -> dict[str, dict[str, tuple[str, ...]]]:
    """Scheme ("" for the usual one) -> split -> ids; splits of one scheme must share nothing."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, ids in dataset.splits.items():
        found.setdefault(name.rpartition("/")[0], {})[name] = ids
    return found


def _shared(dataset: Dataset, scheme: str, first: tuple, second: tuple) -> list[Finding]:
    videos = sorted(set(first[1]) & set(second[1]))
    where = f"splits {first[0]} and {second[0]}"
    if videos:
        text = f"{where} share {counted(len(videos), 'video')}: {', '.join(videos[:8])}"
        return [Finding("error", "splits", text)]
    whose = patients_of(dataset.videos)
    ours, theirs = ({whose.get(v) for v in ids} for ids in (first[1], second[1]))
    both = sorted(patient for patient in ours & theirs if patient is not None)
    if both:
        told = ", ".join(_spellings(dataset, whose, patient) for patient in both[:8])
        text = f"{where} share {counted(len(both), 'patient')}: {told}"
        return [Finding("error", "splits", text)]
    return []


def _spellings(dataset: Dataset, whose: Mapping[str, str], patient: str) -> str:
    """A patient; in all spellings, quoted, where there are several."""
    found = {str(v.patient): None for v in dataset.videos if whose.get(v.video) == patient}
    return patient if len(found) == 1 else " = ".join(map(repr, found))


def _gaps(dataset: Dataset) -> list[Finding]:
    unlabelled, total, findings = 0, 0, []
    bare = [video.video for video in dataset.videos if video.labels is None]
    if bare:
        text = f"{counted(len(bare), 'video has', 'videos have')} no labels, such as {bare[0]}"
        findings.append(Finding("warning", "labels", text))
    longest: dict[str, float] = {}  # video -> seconds
    for video in dataset.videos:
        if video.labels is None:
            continue
        missing = np.array([label == UNLABELLED for label in video.labels])
        unlabelled, total = unlabelled + int(missing.sum()), total + len(missing)
        longest[video.video] = _longest_run(missing) / video.fps
    if unlabelled == total:
        return [*findings, Finding("error", "labels", "no frame has a label")]
    empty = [v.video for v in dataset.videos if v.labels and set(v.labels) == {UNLABELLED}]
    if empty:
        text = f"of {counted(len(empty), 'video')} no frame has a label: {named(empty)}"
        findings.append(Finding("warning", "labels", text))
    share = f"{unlabelled:,} of {total:,} frames have no label"
    if not unlabelled:
        findings.append(Finding("good", "labels", "every frame has a label"))
    elif dataset.task == "phase" and max(longest.values()) >= LONG_GAP:
        where, seconds = max(longest.items(), key=lambda entry: entry[1])
        text = f"{share}; the longest gap lasts {seconds:.0f} s, in {where}"
        findings.append(Finding("warning", "labels", text))
    else:
        findings.append(Finding("note", "labels", share))
    return findings


def _longest_run(mask: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _segment_seconds(video: Video) -> list[float]:
    if not video.labels:
        return []
    labels = np.array(video.labels)
    starts = np.flatnonzero(np.concatenate(([True], labels[1:] != labels[:-1])))
    lengths = np.diff(np.append(starts, len(labels))) / video.fps
    return lengths[labels[starts] != UNLABELLED].tolist()
