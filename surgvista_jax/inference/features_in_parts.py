"""Features whose videos are divided among machines: the rows of all parts in one folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.feature_folder import FeatureFolder, create_features, open_features
from surgvista_jax.data.storage.features_header import HEADER_FILE
from surgvista_jax.errors import UserError
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import Item
from surgvista_jax.writing import writing_to

FEATURES = "features"  # the command
KEPT = (HEADER_FILE, "**/*.npy")  # in the folder of a part


def refuse_whole(out: Path) -> None:
    """Refuses to begin parts in a folder of features that one run began. Raises UserError."""
    if (out / HEADER_FILE).exists():
        raise UserError(
            f"{out}: was begun without --part, or is merged already; leave --part out, or give"
            " another --out"
        )


def merge_features(
    parts: Parts, items: Sequence[Item], out: Path, overwrite: bool = False
) -> FeatureFolder:
    """Moves the rows of all parts to one folder; the weights are not needed for it.

    Args:
        items: the videos, as they were divided.
        out: the features folder; one that an earlier merge began is continued.
        overwrite: as for `create_features`.

    Raises:
        UserError: the parts are of other videos than `items`, not whole, or of other weights; what
            `create_features` raises.
    """
    parts.begin(items)
    made = {
        number: open_features(folder)
        for number, folder in enumerate(parts.folders, start=1)
        if (folder / HEADER_FILE).exists()  # else nothing came of any of its videos
    }
    if (out / HEADER_FILE).exists():
        made[0] = open_features(out)
    if not made:
        raise UserError(f"{out}: no part has features; none of the {len(items)} videos was read")
    header = made[max(made)].header
    for number, folder in made.items():
        if differing := folder.header.differences(header):
            raise parts.not_whole(number, f"its features are others: {'; '.join(differing)}")
    taken, nothing = [], {n: parts.nothing_of(n) for n in range(1, len(parts.folders) + 1)}
    for (name, _), number in zip(items, parts.part_of(items), strict=True):
        rows = made[number].num_rows(name) if number in made else None
        if rows is not None:
            taken.append((Video(name, "", header.fps, rows), made[number]))
        elif name not in nothing[number] and not (0 in made and made[0].num_rows(name)):
            raise parts.not_whole(number, f"rows of video {name!r} are missing or damaged")
    folder = create_features(out, header, [video for video, _ in taken], overwrite)
    parts.moving()
    for video, lying in taken:
        path = folder.path(video)
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(lying.path(video), path)
    return folder
