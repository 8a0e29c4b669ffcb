"""What do intervals and tests of a study draw and pair: videos, or patients with all of theirs?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surgvista_jax.data.batches.patients import groups_of
from surgvista_jax.studies.collect import Study
from surgvista_jax.studies.data_here import dataset_of

VIDEO, PATIENT = "video", "patient"
UNKNOWN = "whose they are is not known"  # so begins why they are videos, where they need not be


@dataclass(frozen=True, eq=False)
class Units:
    """Of the test videos of one run.

    Attributes:
        name: VIDEO or PATIENT.
        why: in words.
        cluster: int [V], the patient of each video, from 0; None where videos are the units.
    """

    name: str
    why: str
    cluster: np.ndarray | None = None


def patients_in(study: Study, dataset: str) -> Mapping[str, str] | None:
    """Video id -> its patient, if any is known; None where the dataset is not here."""
    found = dataset_of(study, dataset)
    if found is None:
        return None
    groups = groups_of(found.videos)
    return {video.video: name for name, videos in groups.items() for video in videos}


def units_of(videos: Sequence[str], patients: Mapping[str, str] | None) -> Units:
    """Patients where one of them has several of the videos, else videos."""
    if patients is None:
        return Units(VIDEO, f"{UNKNOWN}, as the dataset’s folder is not here")
    if missing := [video for video in videos if video not in patients]:
        return Units(VIDEO, f"{UNKNOWN}, as the dataset here has no video {missing[0]}")
    whose = [patients[video] for video in videos]
    if len(set(whose)) < len(whose):
        order = {name: number for number, name in enumerate(dict.fromkeys(whose))}
        told = f"{len(order)} patients, each with all videos; one of no known patient is alone"
        return Units(PATIENT, told, np.array([order[name] for name in whose]))
    named = any(name.startswith("patient ") for name in whose)
    return Units(VIDEO, "each of another patient" if named else "the dataset names no patients")
