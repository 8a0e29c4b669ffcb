"""Which videos are of one patient, and which classes do they show?"""

import collections
import itertools
from collections.abc import Mapping, Sequence

from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import UNLABELLED, Video
from surgvista_jax.data.labels.coverage import named


def patients_of(videos: Sequence[Video]) -> dict[str, str]:
    """Video id -> its patient, where known, in the one spelling that stands for all of them."""
    spelled: dict[str, str] = {}
    for video in videos:
        if (key := video.patient_key) is not None and video.patient is not None:
            spelled[key] = min(spelled.get(key, video.patient), video.patient)
    return {v.video: spelled[v.patient_key] for v in videos if v.patient_key is not None}


def groups_of(videos: Sequence[Video]) -> dict[str, list[Video]]:
    """The videos of each patient; one of no known patient is alone."""
    groups: dict[str, list[Video]] = {}
    whose = patients_of(videos)
    for video in videos:
        patient = whose.get(video.video)
        group = f"video {video.video}" if patient is None else f"patient {patient}"
        groups.setdefault(group, []).append(video)
    return groups


def shown_by(videos: Sequence[Video]) -> set[int]:
    """The ids of the classes that frames of the videos show."""
    labels = set().union(*(video.labels or () for video in videos))
    several = (label if isinstance(label, tuple) else (label,) for label in labels)
    return set(itertools.chain.from_iterable(several)) - {UNLABELLED}


def lacking_in_words(
    splits: Mapping[str, Sequence[str]], videos: Sequence[Video], classes: Sequence[str]
) -> str:
    """Which splits lack a class that others show, and how many have it; "" where none does."""
    kind = "patient" if patients_of(videos) else "video"
    shown = {video.video: shown_by([video]) for video in videos}
    counts: collections.Counter[int] = collections.Counter()
    for members in groups_of(videos).values():
        counts.update(set().union(*(shown[video.video] for video in members)))
    said = []
    for split, ids in splits.items():
        inside = set().union(*(shown[video] for video in ids))
        lacks = [
            f"{classes[number]} (of {counted(count, kind)})"
            for number, count in sorted(counts.items())
            if number not in inside
        ]
        said += [f"{split} lacks {named(lacks)}"] if lacks else []
    return "; ".join(said)
