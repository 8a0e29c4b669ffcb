"""Cholec80-CVS: the layout of its scores of the critical view of safety.

Told by ManuelRios18/CHOLEC80-CVS-PUBLIC alone: its own division (`colenet/…`). Told by SurgVISTA
alone: clips with a total, without those of 6, and the division at video 40. The authors' files
score three criteria from 0 to 2, by time.
"""

import re
from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.data.labels.track import whole_video
from surgvista_jax.errors import UserError
from surgvista_jax.facts.splits import CHOLEC80_CVS

SCORES = tuple(f"score {score}" for score in range(6))
HIGHEST = 6  # given, but the method's authors leave these clips out
LAYOUT = """\
SOURCE/
  videos/video01_1/*.png …      a folder of frames for each clip, one a second (or video01_1.mp4)
  labels.csv                    the video, the number of the clip, …, the total of the scores 0-6:
      video,clip,…,total
      video01,1,…,4"""


def read(folder: Path) -> Reading:
    """Reads Cholec80-CVS' folder; every frame of a clip has its score."""
    path = folder / "labels.csv"
    scores, dropped = read_scores(path)
    sources, notes = gather(
        folder, {clip: (f"videos/{clip}", f"frames/{clip}", clip) for clip in scores}
    )
    recordings = [
        Recording(
            source,
            partial(whole_video, scores[source.video]),
            patient=f"cholec80-{source.video.split('_')[0]}",
            centre="Strasbourg",
        )
        for source in sources
    ]
    if dropped:
        text = f"{dropped} clips of score {HIGHEST} are left out, as the method's authors do"
        notes.append(Remark(str(path), text))
    splits = {
        name: [clip for clip in scores if _operation(clip) in part.numbers]
        for name, part in CHOLEC80_CVS.items()
    }
    return Reading(recordings, splits, notes)


def read_scores(path: Path) -> tuple[dict[str, int], int]:
    """Reads clip -> score, and how many clips have the score that is left out."""
    scores, dropped = {}, 0
    for row in read_rows(path):
        cells = list(row.cells)
        if len(cells) < 3:
            raise UserError(f"{path}, line 1: needs columns of video, clip and, last, total")
        video, clip = (row.cells[name].strip() for name in cells[:2])
        if not re.fullmatch(r"video\d\d", video):
            raise UserError(f"{row.where}: {video!r} is not a video such as video01")
        score = row.number(cells[-1], int)
        if not 0 <= score <= HIGHEST:
            raise UserError(f"{row.where}: score {score} is not from 0 to {HIGHEST}")
        name = f"{video}_{clip}"
        if name in scores:
            raise UserError(f"{row.where}: a second line for {name}")
        if score == HIGHEST:
            dropped += 1
        else:
            scores[name] = score
    if not scores:
        raise UserError(f"{path}: no clip in it")
    return scores, dropped


def _operation(clip: str) -> int:
    return int(clip[5:7])


DATASET = Official(
    name="cholec80-cvs",
    title="Cholec80-CVS",
    task="cvs",
    classes=SCORES,
    read=read,
    layout=LAYOUT,
    procedure="laparoscopic cholecystectomy",
    centre="University Hospital of Strasbourg",
    licence="CC BY 4.0 (the annotations); CC BY-NC-SA 4.0 (the videos)",
    access="https://doi.org/10.6084/m9.figshare.c.5880458 (annotations); Cholec80 (videos)",
    citation=(
        "M. S. Ríos et al., Cholec80-CVS: an open dataset with an evaluation of Strasberg's "
        "critical view of safety for AI, Scientific Data 10, 2023"
    ),
)
