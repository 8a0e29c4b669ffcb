"""OphNet 2024: the layout of its phases.

Confirmed by minghu0830/OphNet-benchmark and its file: 743 videos, 14,674 phases, ids 0 to 51, of
which 51 holds all of fewer than 15 clips. The division 445/144/154 is the file's. Unconfirmed:
names of the phases, which stand in a table of its authors that is not among the files.
"""

from functools import partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.data.labels.track import Interval, IntervalLabels, overlap_notes
from surgvista_jax.errors import UserError

PHASES = tuple(f"phase {number}" for number in range(52))  # the file numbers them from 0
SPLITS = ("train", "val", "test")
FILE = "OphNet2024_loca_challenge_phase.csv"
LAYOUT = f"""\
SOURCE/
  videos/case_0002.mp4 …        (or frames/case_0002/*.jpg, one a second; or beside the CSV)
  {FILE}        intervals in seconds:
      video_id,start,end,split,surgery_id,phase_id
      case_0002,0,10,train,5,3"""


def read(folder: Path) -> Reading:
    """Reads OphNet's folder of the localisation challenge."""
    intervals, splits = read_phases(folder / FILE)
    places = {video: (f"videos/{video}", f"frames/{video}", video) for video in intervals}
    sources, notes = gather(folder, places)
    recordings = [
        Recording(source, partial(_track, tuple(intervals[source.video]))) for source in sources
    ]
    text = "phases are numbered, not named, in the file: so are they here"
    return Reading(recordings, splits, [*notes, Remark("classes", text)])


def read_phases(path: Path) -> tuple[dict[str, list[Interval]], dict[str, list[str]]]:
    """Reads video -> intervals, and split -> videos."""
    intervals: dict[str, list[Interval]] = {}
    split_of: dict[str, str] = {}
    for row in read_rows(path, ("video_id", "start", "end", "split", "phase_id")):
        video, split = row.cells["video_id"].strip(), row.cells["split"].strip()
        start, end = row.number("start"), row.number("end")
        phase = row.number("phase_id", int)
        if split not in SPLITS or split_of.setdefault(video, split) != split:
            raise UserError(f"{row.where}: split {split!r}, where {video} is in one of {SPLITS}")
        if not 0 <= start < end:
            raise UserError(f"{row.where}: end {end:g} s is not after start {start:g} s")
        if not 0 <= phase < len(PHASES):
            raise UserError(f"{row.where}: phase {phase} is not from 0 to {len(PHASES) - 1}")
        intervals.setdefault(video, []).append(Interval(start, end, phase))
    members = {split: [v for v, s in split_of.items() if s == split] for split in SPLITS}
    return intervals, members


def _track(intervals: tuple[Interval, ...]) -> IntervalLabels:
    return IntervalLabels(intervals, notes=overlap_notes(intervals))


DATASET = Official(
    name="ophnet",
    title="OphNet 2024 (phases)",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="cataract, glaucoma and corneal surgery",
    centre="videos from the web",
    licence="MIT (the annotations)",
    access="https://github.com/minghu0830/OphNet-benchmark",
    citation=(
        "M. Hu et al., OphNet: a large-scale video benchmark for ophthalmic surgical workflow "
        "understanding, ECCV 2024"
    ),
    published={"train": Counts(445), "val": Counts(144), "test": Counts(154)},
)
