"""From label files to the labels of the kept frames, and what does not fit between them."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.extract import ExtractConfig, folder_fps
from surgvista_jax.data.conversion.journal import Journal
from surgvista_jax.data.conversion.official import Reading, Recording
from surgvista_jax.data.conversion.remarks import LABELS_OF
from surgvista_jax.data.conversion.sources import Remark, SourceVideo, frame_files
from surgvista_jax.data.dataset import UNLABELLED, Dataset, Video
from surgvista_jax.data.labels import coverage
from surgvista_jax.data.labels.numbering import (
    Unnumbered,
    image_numbers,
    numbering_fault,
    place_fault,
)
from surgvista_jax.data.labels.track import (
    FrameLabels,
    Interval,
    IntervalLabels,
    Label,
    Track,
    as_seconds,
    at_another_rate,
    intervals_beyond,
    length_notes,
    lost_intervals,
    numbered_from_one,
)
from surgvista_jax.data.rates import kept_index
from surgvista_jax.errors import UserError

# A rate as near as this to a nominal one is taken for it.
NOMINAL = 0.02


def check_labels(reading: Reading) -> list[Remark]:
    """Reads every label file once, and holds numbers of images against it.

    Returns:
        What was normalised.

    Raises:
        UserError: a wrong file; images that are not numbered as their labels are.
    """
    notes, faults = [], []
    any_track = any_label = False
    for recording in reading.recordings:
        if recording.read_labels is None:
            continue
        track, source = recording.read_labels(), recording.source
        any_track = True
        any_label = any_label or _says_something(track)
        notes += [Remark(LABELS_OF + source.video, text) for text in track.notes]
        if source.is_folder and (fault := _numbering(recording, track, reading.own)):
            faults.append((source, fault))
    if reading.own and any_track and not any_label:
        raise UserError("--labels: no video has a label, by any line of the files")
    if faults:
        source, fault = faults[0]
        others = ", ".join(source.video for source, _ in faults[1:4])
        more = f" (and {counted(len(faults) - 1, 'video')} more: {others}, …)" if others else ""
        raise UserError(f"{source.path}: {fault}{more}")
    return notes


def _says_something(track: Track) -> bool:
    """Whether some moment has a label."""
    if isinstance(track, IntervalLabels):
        return bool(track.intervals)
    return any(label != UNLABELLED for label in track.by_number.values())


def _numbering(recording: Recording, track: Track, own: bool) -> str:
    """What is wrong with the numbers of a video's images; "" where nothing is."""
    if np.isinf(track.seconds):  # one label for all
        return ""
    files = frame_files(recording.source.path, recording.source.prefix)
    try:
        numbers = image_numbers(files)
    except Unnumbered:
        if not recording.numbered:
            return ""
        raise UserError(f"{files[0]}: no number in its name tells which frame it is") from None
    if recording.numbered:
        assert isinstance(track, FrameLabels)  # of numbered images
        return numbering_fault(numbers, track.by_number)
    if isinstance(track, FrameLabels) and track.fps == 1:
        first = min(track.by_number, default=0)
        if first == numbers[0] == 1:
            return "its images are numbered from 1, and its labels, which count from 0, from 1 too"
    return place_fault(numbers, from_start=not own)


@dataclass
class Labelling:
    """Gives the videos of a dataset their labels, one video at a time.

    Attributes:
        notes, problems: where labels and videos do not fit; whole when all videos have been taken.
    """

    reading: Reading
    journal: Journal
    config: ExtractConfig
    dataset: Dataset
    notes: list[Remark] = field(default_factory=list)
    problems: list[Remark] = field(default_factory=list)
    _counts: dict[str, np.ndarray] = field(default_factory=dict)
    _lost: list[tuple[str, Interval]] = field(default_factory=list)
    _beyond: list[tuple[str, Interval]] = field(default_factory=list)

    def videos(self) -> Iterator[Video]:
        """The dataset's videos with labels, patients and centres."""
        by_id = {recording.source.video: recording for recording in self.reading.recordings}
        for video in self.dataset.videos:
            recording = by_id.get(video.video)
            if recording is not None:
                labels = self._labels(recording, video)
                if labels is not None:
                    num_classes = len(self.dataset.classes)
                    self._counts[video.video] = coverage.class_counts(labels, num_classes)
                video = dataclasses.replace(
                    video, labels=labels, patient=recording.patient, centre=recording.centre
                )
            yield video
        self._say_what_is_lost()

    def _say(self, video: Video, text: str) -> None:
        self.notes.append(Remark(LABELS_OF + video.video, text))

    def _labels(self, recording: Recording, video: Video) -> tuple[Label, ...] | None:
        if recording.read_labels is None:
            return None
        track = recording.read_labels()
        if recording.numbered and recording.source.is_folder:
            assert isinstance(track, FrameLabels)  # of numbered images
            labels = track.of(self._numbers(recording.source, video))
        else:
            labels = self._at_moments(recording, track, video)
        lacking = sum(label == UNLABELLED for label in labels)
        if lacking == len(labels):
            no_file = isinstance(track, FrameLabels) and not track.by_number and self.reading.own
            if not no_file:  # which was said on reading
                self._say(video, "no frame has a label")
        elif lacking and isinstance(track, FrameLabels):
            self._say(video, f"{lacking} of {len(labels)} frames have none")
        return labels

    def _at_moments(self, recording: Recording, track: Track, video: Video) -> tuple[Label, ...]:
        moments, seconds = np.arange(video.num_frames) / video.fps, video.num_frames / video.fps
        if isinstance(track, FrameLabels):
            track = self._at_true_rate(recording, track, video, seconds)
        wrong = at_another_rate(track, seconds, own=self.reading.own)
        for text in length_notes(track.seconds, seconds, video.fps, wrong_rate=wrong):
            said = self.problems if wrong else self.notes
            said.append(Remark(LABELS_OF + video.video, text))
        if self.reading.own and (text := numbered_from_one(track, seconds)):
            self.problems.append(Remark(LABELS_OF + video.video, text))
        lost = lost_intervals(track, moments, seconds)
        self._lost += [(video.video, interval) for interval in lost]
        if not wrong:
            beyond = intervals_beyond(track, seconds)
            self._beyond += [(video.video, interval) for interval in beyond]
        return track.at(moments)

    def _at_true_rate(
        self, recording: Recording, track: FrameLabels, video: Video, seconds: float
    ) -> FrameLabels:
        """Labels a second, not a frame, where the length says so; else at the video's own rate.

        A video's own rate is such as 29.97, not the nominal 30.
        """
        if (by_second := as_seconds(track, seconds)) is not None:
            text = f"has one line a second (0, 1, 2 …), not {track.fps:g}"
            first = min(track.by_number)
            if first:
                text += f"; its first is {first}, where 0 is due: number them from 0"
                self.problems.append(Remark(LABELS_OF + video.video, text))
            else:
                self._say(video, text)
            return by_second
        extracted = self.journal.finished[recording.source.video].extracted
        rate = extracted.native_fps
        told = extracted.native_fps_told
        if not told or rate == track.fps or abs(rate / track.fps - 1) > NOMINAL:
            return track
        self._say(video, f"are those of frames at {rate:g} fps, as the video's are")
        return dataclasses.replace(track, fps=rate)

    def _numbers(self, source: SourceVideo, video: Video) -> list[int]:
        """The numbers in the names of the images that were kept."""
        numbers = image_numbers(frame_files(source.path, source.prefix))
        keep_every = folder_fps(source, self.config) / video.fps
        kept = [numbers[kept_index(k, keep_every)] for k in range(video.num_frames)]
        steps = np.diff(kept)
        if len(steps) and (uneven := int(np.sum(steps != np.median(steps)))):
            text = (
                f"{uneven} of {len(steps)} steps between the numbers of its images differ from the "
                "usual one: a clip over them spans another time"
            )
            self.notes.append(Remark(source.video, text))
        return kept

    def _say_what_is_lost(self) -> None:
        """Intervals that meet no frame, classes without a frame, in all or in training."""
        dataset, classes = self.dataset, self.dataset.classes
        for where, lost in (
            (f"between two frames at {dataset.fps:g} fps", self._lost),
            ("after the last frame", self._beyond),
        ):
            shown = [
                f"{classes[interval.label]} {interval.start:.2f}-{interval.end:.2f} s of {video}"
                for video, interval in lost
            ]
            if shown:
                text = f"{len(shown)} interval(s) {where} label none: {coverage.named(shown)}"
                self.notes.append(Remark("labels", text))
        if not self._counts or not classes:
            return
        total = sum(self._counts.values(), np.zeros(len(classes), np.int64))
        never = [name for name, count in zip(classes, total, strict=True) if not count]
        if never:
            text = f"{len(never)} of {len(classes)} classes have no frame: {coverage.named(never)}"
            self.notes.append(Remark("classes", text))
        lacking = coverage.classes_without_training(self._counts, dataset.splits, classes)
        for split, absent in lacking.items():
            unseen: Sequence[str] = [name for name in absent if name not in never]
            if unseen:
                text = (
                    f"split {split} has no frame of {len(unseen)} of {len(classes)} classes that "
                    f"others have: {coverage.named(unseen)}"
                )
                self.notes.append(Remark("splits", text))
