"""From the videos and labels that a reader found to a dataset folder."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.cores import available_cores
from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.extract_all import extract_all
from surgvista_jax.data.conversion.in_parts import extract_part, take_in
from surgvista_jax.data.conversion.labelling import Labelling, check_labels
from surgvista_jax.data.conversion.official import Reading
from surgvista_jax.data.conversion.placing import FrameFolders
from surgvista_jax.data.conversion.remarks import merged
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.conversion.state import is_begun, open_journal, ownership
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.labels.coverage import in_no_split, named
from surgvista_jax.data.storage.manifest import DATASET_FILE, FILES, write_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import read_plan, refuse_begun
from surgvista_jax.writing import CannotWrite, clear_asides, writing_to

CONVERT = "data convert"  # the command whose parts are divided here


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
    overwrite: bool = False,
    parts: Parts | None = None,
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
        overwrite: whether files in the way that no conversion wrote may be replaced.
        parts: one of them is done alone, and no dataset is written; or all are merged.

    Raises:
        UserError: a wrong file, nothing to convert, other settings than before, something in the
            way that may not be replaced, a full disk.
    """
    out = head.folder
    if not source.is_dir():
        found = "is a file" if source.is_file() else "no such folder"
        raise UserError(f"{source}: {found}; --source must be a folder")
    if (out.exists() or out.is_symlink()) and not out.is_dir():
        raise UserError(f"{out}: is a file; --out must be a folder, which need not exist")
    if out.resolve() == source.resolve():
        raise UserError(f"{out}: is the folder of the videos; --out must be another one")
    owned = ownership(out, overwrite)
    if parts is None:
        refuse_begun(out, CONVERT)
    elif not parts.part.is_merge:
        return _one_part(parts, head, read({}), owned, source, config, num_workers)
    fresh = not is_begun(out)
    if fresh:  # a mistake in the official files, or what is in the way, leaves nothing behind
        reading = read({})
        notes = check_labels(reading)
        _check_room(owned, reading)
    with (
        alone_in(out, "give another --out"),
        open_journal(out, head.source_format, source, config) as journal,
    ):
        clear_asides(out)
        if not fresh:
            reading = read({entry.key: video for video, entry in journal.finished.items()})
            notes = check_labels(reading)
            owned.check(out / name for name in FILES)
        notes += reading.notes
        sources = [recording.source for recording in reading.recordings]
        if parts is not None:
            take_in(parts, sources, owned, journal, head.source_format, source, config)
        extraction = extract_all(sources, owned, journal, config, num_workers or available_cores())
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
        notes += _not_trained_on(reading, dataset)
        labelling = Labelling(reading, journal, config, dataset)
        try:
            write_dataset(dataset, labelling.videos(), owned)
        except CannotWrite as error:
            raise UserError(
                f"{error}; all frames are in place: solve that and run the same command again"
            ) from None
    notes = merged([*notes, *labelling.notes], len(dataset.videos))
    # Those of an extraction tell times, and each is said.
    notes = sorted([*notes, *extraction.notes])
    problems = sorted([*problems, *labelling.problems])
    return Conversion(dataset, extraction.num_extracted, problems, notes)


def _one_part(
    parts: Parts,
    head: Dataset,
    reading: Reading,
    owned: Ownership,
    source: Path,
    config: ExtractConfig,
    num_workers: int | None,
) -> Conversion:
    """Extracts the videos of one part; the manifest is left to the merge."""
    out = owned.folder
    if is_begun(out) and read_plan(out, CONVERT) is None:
        raise UserError(
            f"{out}: was begun without --part, or is merged already; leave --part out, or give"
            " another --out"
        )
    check_labels(reading)
    if not is_begun(out):
        _check_room(owned, reading)
    sources = [recording.source for recording in reading.recordings]
    extraction = extract_part(
        parts, sources, head.source_format, source, config, num_workers or available_cores()
    )
    videos = tuple(extraction.videos[video] for video in sorted(extraction.videos))
    dataset = dataclasses.replace(head, folder=parts.folder, fps=config.fps, videos=videos)
    return Conversion(dataset, extraction.num_extracted, extraction.problems, extraction.notes)


def _check_room(owned: Ownership, reading: Reading) -> None:
    """Refuses a folder without a journal that holds what would be replaced."""
    about = owned.folder / DATASET_FILE
    if about.exists() and not (owned.overwrite or owned.wrote(about)):
        raise UserError(
            f"{owned.folder}: holds a dataset that this command has not written; give another"
            " --out, or --overwrite to replace its files"
        )
    owned.check(owned.folder / name for name in FILES)
    folders = FrameFolders(owned, {})
    with writing_to(owned.folder):
        for recording in reading.recordings:
            folders.check(recording.source.video)


def _not_trained_on(reading: Reading, dataset: Dataset) -> list[Remark]:
    """What to say of videos whose source is gone, and of those that no split names."""
    here = {recording.source.video for recording in reading.recordings}
    gone = [video.video for video in dataset.videos if video.video not in here]
    notes = []
    if gone:
        text = (
            f"of {counted(len(gone), 'video')} the source is gone ({named(gone)}): they stay in"
            " the dataset, "
            f"unlabelled and in no split; to leave them out, remove their folders, such as "
            f"{dataset.folder / 'frames' / gone[0]}"
        )
        notes.append(Remark("videos", text))
    found = tuple(video for video in dataset.videos if video.video in here)
    if outside := in_no_split(dataclasses.replace(dataset, videos=found)):
        notes.append(Remark("splits", outside))
    return notes


def _long_enough(
    reading: Reading, videos: Mapping[str, Video], notes: list[Remark]
) -> Mapping[str, Video]:
    short = {name for name, video in videos.items() if video.num_frames < reading.min_frames}
    if short == set(videos):
        raise UserError(
            f"no video has the {counted(reading.min_frames, 'frame')} that are needed to be kept"
        )
    for name in sorted(short):
        text = (
            f"left out: {counted(videos[name].num_frames, 'frame')}, {reading.min_frames} are"
            " needed"
        )
        notes.append(Remark(name, text))
    return {name: video for name, video in videos.items() if name not in short}


def _splits(reading: Reading, videos: Mapping[str, Video]) -> dict[str, tuple[str, ...]]:
    splits = {
        name: tuple(video for video in ids if video in videos)
        for name, ids in reading.splits.items()
    }
    return {name: ids for name, ids in splits.items() if ids}
