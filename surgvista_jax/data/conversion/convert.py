"""From the videos and labels that a reader found to a dataset folder."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.conversion.extract import ExtractConfig, folder_fps
from surgvista_jax.data.conversion.extract_all import extract_all, open_journal
from surgvista_jax.data.conversion.journal import Journal
from surgvista_jax.data.conversion.official import Reading, Recording, Track
from surgvista_jax.data.conversion.sources import Remark, frame_files, frame_number
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.labels.track import FrameLabels, Label, length_notes
from surgvista_jax.data.rates import kept_index
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.data.workers import available_cores
from surgvista_jax.errors import UserError
from surgvista_jax.writing import CannotWrite

# A rate as near as this to a nominal one is taken for it.
NOMINAL = 0.02
# Labels that last so many times as long as the video are at another rate than assumed.
TOO_LONG = 2.0


@dataclass(frozen=True)
class Conversion:
    """A written dataset, and what the user should know about it.

    Attributes:
        dataset: what was written, its videos without their labels.
        num_extracted: videos extracted by this run; the others were finished before.
        problems: what was not read, or not to its end.
        notes: what was normalised, and what else should be known.
    """

    dataset: Dataset
    num_extracted: int
    problems: list[Remark]
    notes: list[Remark]


def convert(
    head: Dataset,
    read: Callable[[Mapping[str, str]], Reading],
    source: Path,
    config: ExtractConfig,
    num_workers: int | None = None,
) -> Conversion:
    """Makes a dataset folder of what a reader finds.

    Label files are read twice, before any frame is extracted and when they are written, so that a
    mistake in one shows at once and the labels of one video only are in memory.

    Args:
        head: what `dataset.json` will say; its folder is the output, and one that was begun with
            the same settings is continued; its splits and videos are ignored.
        read: finds the recordings; it is given the ids of videos that are finished already by the
            key of their source.
        source: the folder of the official files.
        config: rate and size of the frames.
        num_workers: videos read at a time; None: one for each core.

    Raises:
        UserError: a wrong file, nothing to convert, other settings than before, a full disk.
    """
    out = head.folder
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source must be a folder")
    if (out.exists() or out.is_symlink()) and not out.is_dir():
        raise UserError(f"{out}: is a file; --out must be a folder, which need not exist")
    if out.resolve() == source.resolve():
        raise UserError(f"{out}: is the folder of the videos; --out must be another one")
    fresh = not out.exists()
    if fresh:  # a mistake in the official files leaves no folder behind
        reading = read({})
        notes = _check_labels(reading)
    with open_journal(out, head.source_format, source, config) as journal:
        if not fresh:
            reading = read({entry.key: video for video, entry in journal.finished.items()})
            notes = _check_labels(reading)
        notes += reading.notes
        sources = [recording.source for recording in reading.recordings]
        extraction = extract_all(sources, out, journal, config, num_workers or available_cores())
        problems = sorted([*reading.problems, *extraction.problems])
        if not extraction.videos:
            for problem in problems:
                print(problem, file=sys.stderr)
            raise UserError(f"{source}: none of its {len(sources)} videos can be read")
        videos = _long_enough(reading, extraction.videos, notes)
        splits = _splits(reading, videos)
        dataset = dataclasses.replace(
            head,
            fps=config.fps,
            classes=head.classes if reading.classes is None else reading.classes,
            splits=splits,
            videos=tuple(videos[video] for video in sorted(videos)),
        )
        labels = _Labels(reading, journal, config, notes, problems)
        try:
            write_dataset(dataset, labels.of(dataset.videos))
        except CannotWrite as error:
            raise UserError(
                f"{error}; all frames are in place: solve that and run the same command again"
            ) from None
    return Conversion(
        dataset, extraction.num_extracted, problems, sorted({*notes, *extraction.notes})
    )


def _check_labels(reading: Reading) -> list[Remark]:
    """Reads every label file once; returns what was normalised."""
    notes = []
    for recording in reading.recordings:
        if recording.read_labels is not None:
            for text in recording.read_labels().notes:
                notes.append(Remark(recording.source.video, text))
    return _merged(notes, len(reading.recordings))


def _merged(notes: list[Remark], num_videos: int) -> list[Remark]:
    """One note for what holds of most videos of a dataset, instead of one for each."""
    by_text: dict[str, list[str]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note.path)
    merged = []
    for text, videos in by_text.items():
        if len(videos) > 3:
            which = "all videos" if len(videos) == num_videos else f"{len(videos)} videos"
            merged.append(Remark(f"labels of {which}", text))
        else:
            merged += [Remark(f"labels of {video}", text) for video in videos]
    return merged


def _long_enough(
    reading: Reading, videos: Mapping[str, Video], notes: list[Remark]
) -> Mapping[str, Video]:
    short = {name for name, video in videos.items() if video.num_frames < reading.min_frames}
    if short == set(videos):
        raise UserError(f"no video has the {reading.min_frames} frames that are needed to be kept")
    for name in sorted(short):
        text = f"left out: {videos[name].num_frames} frames, {reading.min_frames} are needed"
        notes.append(Remark(name, text))
    return {name: video for name, video in videos.items() if name not in short}


def _splits(reading: Reading, videos: Mapping[str, Video]) -> dict[str, tuple[str, ...]]:
    splits = {
        name: tuple(video for video in ids if video in videos)
        for name, ids in reading.splits.items()
    }
    return {name: ids for name, ids in splits.items() if ids}


@dataclass(frozen=True)
class _Labels:
    """Gives videos their labels, and notes where these do not fit."""

    reading: Reading
    journal: Journal
    config: ExtractConfig
    notes: list[Remark]
    problems: list[Remark]

    def of(self, videos: tuple[Video, ...]) -> Iterator[Video]:
        by_id = {recording.source.video: recording for recording in self.reading.recordings}
        for video in videos:
            recording = by_id.get(video.video)
            if recording is not None:
                video = dataclasses.replace(
                    video,
                    labels=self._labels(recording, video),
                    patient=recording.patient,
                    centre=recording.centre,
                )
            yield video

    def _labels(self, recording: Recording, video: Video) -> tuple[Label, ...] | None:
        if recording.read_labels is None:
            return None
        track = recording.read_labels()
        name = f"labels of {video.video}"
        if recording.numbered and recording.source.is_folder:
            assert isinstance(track, FrameLabels)  # of numbered images
            labels = track.of(self._numbers(recording, video))
        else:
            track = self._at_own_rate(recording, track, name)
            labels = track.at(np.arange(video.num_frames) / video.fps)
            seconds = video.num_frames / video.fps
            # Labels that end early may be all there are; twice too many belong to something else.
            said = self.problems if TOO_LONG <= track.seconds / seconds < np.inf else self.notes
            said.extend(
                Remark(name, text) for text in length_notes(track.seconds, seconds, video.fps)
            )
        lacking = sum(label == UNLABELLED for label in labels)
        if lacking == len(labels):
            self.notes.append(Remark(name, "no frame has a label"))
        elif lacking and isinstance(track, FrameLabels):
            self.notes.append(Remark(name, f"{lacking} of {len(labels)} frames have none"))
        return labels

    def _at_own_rate(self, recording: Recording, track: Track, name: str) -> Track:
        """Labels of a video's own frames go by its own rate, such as 29.97, not the nominal 30."""
        extracted = self.journal.finished[recording.source.video].extracted
        if not isinstance(track, FrameLabels) or not extracted.native_fps_told:
            return track
        rate = extracted.native_fps
        if rate == track.fps or abs(rate / track.fps - 1) > NOMINAL:
            return track
        self.notes.append(Remark(name, f"are those of frames at {rate:g} fps, as the video's are"))
        return dataclasses.replace(track, fps=rate)

    def _numbers(self, recording: Recording, video: Video) -> list[int]:
        """The numbers in the names of the images that were kept."""
        source = recording.source
        files = frame_files(source.path, source.prefix)
        keep_every = folder_fps(source, self.config) / video.fps
        numbers = []
        for k in range(video.num_frames):
            file = files[kept_index(k, keep_every)]
            number = frame_number(file)
            if number is None:
                raise UserError(f"{file}: no number in its name tells which frame")
            numbers.append(number)
        steps = np.diff(numbers)
        if len(steps) and (uneven := int(np.sum(steps != np.median(steps)))):
            text = (
                f"{uneven} of {len(steps)} steps between the numbers of its images differ from the "
                "usual one: a clip over them spans another time"
            )
            self.notes.append(Remark(recording.source.video, text))
        return numbers
