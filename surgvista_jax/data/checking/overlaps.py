"""Operations that are in several datasets.

A table of what is published about it.  Where the datasets number the operations alike, an overlap
is named by video; elsewhere only that it exists.  What Endoscapes and M2CAI16-tool share with
Cholec80 is of CAMMA's analysis of overlaps (2025), as others quote it: not confirmed by a second
source, so that it is a warning.
"""

import re

from surgvista_jax.data.checking.report import Finding
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.datasets import registry

# source_format -> (collection, pattern of the video id): the number is that of the operation.
# Cholec80, CholecT45/T50 and Cholec80-CVS number the operations of one hospital's collection alike.
COLLECTIONS = {
    "cholec80": ("Strasbourg cholecystectomy", r"video(\d+)"),
    "cholec80_tool": ("Strasbourg cholecystectomy", r"video(\d+)"),
    "cholect50": ("Strasbourg cholecystectomy", r"VID(\d+)"),
    "cholect50_tool": ("Strasbourg cholecystectomy", r"VID(\d+)"),
    "cholect45": ("Strasbourg cholecystectomy", r"VID(\d+)"),
    "cholec80-cvs": ("Strasbourg cholecystectomy", r"video(\d+)(?:_\d+)?"),
    "multibypass140-phases": ("gastric bypass", r"([BS]BP\d+)"),
    "multibypass140-steps": ("gastric bypass", r"([BS]BP\d+)"),
    "bernbypass70": ("gastric bypass", r"([BS]BP\d+)"),
    "strasbypass70": ("gastric bypass", r"([BS]BP\d+)"),
    "pitvis": ("PitVis", r"video_(\d+)"),
    "pitvis-steps": ("PitVis", r"video_(\d+)"),
    "pitvis_tool": ("PitVis", r"video_(\d+)"),
    "heichole": ("HeiChole", r"Hei-Chole(\d+)"),
    "heichole-phases": ("HeiChole", r"Hei-Chole(\d+)"),
    "heichole_tool": ("HeiChole", r"Hei-Chole(\d+)"),
    "psi-ava": ("PSI-AVA", r"CASE(\d+)"),
    "psi-ava-phases": ("PSI-AVA", r"CASE(\d+)"),
    "psi-ava-steps": ("PSI-AVA", r"CASE(\d+)"),
    "endoscapes": ("Endoscapes", r"(\d+)"),
    "endoscapes-count": ("Endoscapes", r"(\d+)"),
}
_CHOLEC80 = {name for name, (place, _) in COLLECTIONS.items() if place.startswith("Strasbourg")}
# Pairs that are known to share operations, though not which.
UNNAMED = (
    (
        {"m2cai16"},
        _CHOLEC80,
        "M2CAI16 and Cholec80 come partly from the same hospital and share operations",
    ),
    (
        {"m2cai16_tool"},
        {"m2cai16"},
        "M2CAI16-tool and a part of M2CAI16 come from one hospital; an overlap is not published",
    ),
    (
        {"m2cai16_tool"},
        _CHOLEC80,
        "M2CAI16-tool's operations are told to be 61, 62 and 64 to 76 of Cholec80",
    ),
    (
        {"prostatd"},
        {"psi-ava", "psi-ava-phases", "psi-ava-steps"},
        "ProstaTD includes videos of PSI-AVA",
    ),
    (
        {"endoscapes", "endoscapes-count"},
        _CHOLEC80,
        "Endoscapes and Cholec80 are told to share six operations, under other numbers",
    ),
)


def operation(dataset: Dataset, video: str) -> tuple[str, str] | None:
    """Collection and number of the operation that a video shows, where that is known."""
    if dataset.source_format not in COLLECTIONS:
        return None
    collection, pattern = COLLECTIONS[dataset.source_format]
    found = re.fullmatch(pattern, video)
    return (collection, found[1].lstrip("0")) if found else None


def shared_videos(dataset: Dataset, other: Dataset) -> set[str]:
    """The videos of a dataset that show operations which another one is known to show too."""
    seen = {operation(other, video.video) for video in other.videos} - {None}
    own = {video.video for video in other.videos} if _number_alike(dataset, other) else set()
    ids = (video.video for video in dataset.videos)
    return {video for video in ids if video in own or operation(dataset, video) in seen}


def unnamed_overlaps(dataset: Dataset, other: Dataset) -> list[str]:
    """What is told of operations that two datasets share, where it is not known which."""
    formats = dataset.source_format, other.source_format
    return [
        text
        for first, second, text in UNNAMED
        if any(a in first and b in second for a, b in (formats, formats[::-1]))
    ]


def check_overlap(dataset: Dataset, pretraining: list[Dataset]) -> list[Finding]:
    """Operations of the dataset's validation and test splits that models saw in pretraining."""
    findings = []
    for other in pretraining:
        shared = shared_videos(dataset, other)
        for split, ids in dataset.splits.items():
            if split.rpartition("/")[2] == "train":
                continue
            both = [video for video in ids if video in shared]
            if both:
                text = (
                    f"{len(both)} of {len(ids)} operations of split {split} are in the "
                    f"pretraining data {other.name}: {', '.join(both[:8])}"
                    + (", …" if len(both) > 8 else "")
                )
                findings.append(Finding("error", "leak", text))
        for text in unnamed_overlaps(dataset, other):
            findings.append(Finding("warning", "leak", f"{text}: {other.name} was trained on"))
    if pretraining and not findings:
        names = ", ".join(other.name for other in pretraining)
        text = f"no operation of validation or test is known to be in {names}"
        findings.append(Finding("good", "leak", text))
    return findings


def _number_alike(dataset: Dataset, other: Dataset) -> bool:
    """Whether two videos of one id are the same video.

    In a published dataset they are; ids of the user's own videos, such as `1`, mean nothing
    elsewhere.
    """
    if dataset.source_format != other.source_format:
        return False
    return dataset.source_format in registry() or dataset.name == other.name
