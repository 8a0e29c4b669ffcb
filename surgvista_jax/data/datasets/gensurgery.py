"""GenSurgery: pretraining data from any tree of surgical videos.

Unconfirmed: 3,376 videos and 2,349,618 frames, told by SurgVISTA alone.
"""

from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording
from surgvista_jax.data.conversion.sources import find_videos
from surgvista_jax.errors import UserError

MIN_FRAMES = 60
LAYOUT = """\
SOURCE/
  …                 any tree of video files and folders of frames; those that come to fewer than
                    60 frames are left out.  The list of the authors' videos is not published."""


def read(folder: Path) -> Reading:
    """Reads every video below a folder; all are for training."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; --source must be a folder with videos")
    search = find_videos(folder, skip=folder / ".convert")
    if not search.videos:
        raise UserError(f"{folder}: no video and no folder of images in it")
    return Reading(
        [Recording(source) for source in search.videos],
        {"train": [source.video for source in search.videos]},
        search.notes,
        search.problems,
        min_frames=MIN_FRAMES,
    )


DATASET = Official(
    name="gensurgery",
    title="GenSurgery",
    task="none",
    classes=(),
    read=read,
    layout=LAYOUT,
    procedure="many",
    centre="videos from the web",
    licence="those of the videos",
    access="the videos are gathered from the web; GSViT's authors describe how",
    citation=(
        "S. Schmidgall et al., General surgery vision transformer: a video pre-trained foundation "
        "model for general surgery, arXiv:2403.05949, 2024"
    ),
    published={"train": Counts(3_376, 2_349_618)},
)
