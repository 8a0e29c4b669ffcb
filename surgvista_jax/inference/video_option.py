"""The option `--video` of `predict`: an annotated copy of each video beside its table."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.conversion.sources import Remark, find_given
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.data.video_files import file_of, files_of
from surgvista_jax.inference.annotated_video import (
    Said,
    annotate_file,
    annotate_frames,
    encoder,
    undrawable_names,
)
from surgvista_jax.inference.given_videos import is_dataset, reading_at
from surgvista_jax.inference.recordings import Moments
from surgvista_jax.inference.trained import Meaning
from surgvista_jax.ownership import Ownership

SUFFIX = ".annotated.mp4"


def add_annotated(parser: argparse.ArgumentParser) -> None:
    """Adds the option."""
    parser.add_argument(
        "--video",
        action="store_true",
        help="write an annotated copy of each video too (VIDEO.annotated.mp4, H.264, without "
        "sound): label, confidence and a ribbon of the whole video drawn into its pictures",
    )


def annotated_copies(
    arguments: argparse.Namespace, owned: Ownership, meaning: Meaning
) -> "AnnotatedCopies | None":
    """What writes the copies, by the options of `predict`; None where none are asked for.

    Raises:
        UserError: FFmpeg cannot write them here; there is no such video.
    """
    if not arguments.video:
        return None
    encoder()
    originals = {}
    if not is_dataset(arguments.videos):
        found = find_given(arguments.videos, skip=arguments.out)[1].videos
        originals = {source.video: source.path for source in found if not source.is_folder}
    options = reading_at(arguments, meaning.fps).video
    return AnnotatedCopies(owned, meaning, options, originals)


@dataclass(frozen=True)
class AnnotatedCopies:
    """Writes annotated copies.

    Attributes:
        owned: of the folder that is written.
        meaning: of the predictions.
        options: how video files are read.
        originals: id -> video file, where one is known; of other videos their frames are drawn.
    """

    owned: Ownership
    meaning: Meaning
    options: VideoOptions
    originals: dict[str, Path]

    def check(self, videos: Sequence[str]) -> None:
        """Refuses before anything is computed what could not be written in the end.

        Prints what is to be said of class names that cannot be drawn.

        Args:
            videos: ids.

        Raises:
            UserError: a file in the way that may not be replaced.
        """
        self.owned.check(files_of(self.owned.folder, videos, SUFFIX))
        if text := undrawable_names(self.meaning.classes):
            print(text, file=sys.stderr)

    def write(self, moments: Moments) -> list[Remark]:
        """Writes the copy of a finished video.

        Returns:
            Why there is none, which is printed too; nothing where it was written.

        Raises:
            CannotWrite: it cannot be written.
        """
        video, outputs = moments.video, moments.outputs
        if not len(outputs.frame):
            return []
        path = file_of(self.owned.folder, video.video, SUFFIX)
        single = self.meaning.label_kind == "single"
        seconds = outputs.frame / video.fps
        said = Said(seconds, video.fps, outputs.values, self.meaning.classes, single)
        source = self.originals.get(video.video, moments.folder / video.source)
        try:
            if source.is_file():
                annotate_file(path, source, said, self.options, self.owned)
            else:
                frames = open_frames(moments.folder, video)
                annotate_frames(path, frames, video.num_frames, said, self.owned)
        except UnreadableVideo as error:
            remark = Remark(video.video, f"no annotated copy is written: {error}")
            print(remark, file=sys.stderr)
            return [remark]
        return []
