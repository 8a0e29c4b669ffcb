"""What of a dataset and of devices decides the choices."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Sequence

import jax

from surgvista_jax.cores import available_cores
from surgvista_jax.data.batches.made_splits import labelled
from surgvista_jax.data.batches.patients import patients_of
from surgvista_jax.data.dataset import TRAIN, UNLABELLED, Dataset, Video
from surgvista_jax.training import fits_devices
from surgvista_jax.training.partition import MeshConfig, make_mesh


@dataclasses.dataclass(frozen=True)
class DataFacts:
    """Of the videos to train on; all of them where a dataset has no splits.

    Attributes:
        task, label_kind: of the dataset.
        fps: frames a second.
        lengths: frames of each video.
        runs: frames of each stretch that has the same label throughout.
        counts: labelled frames of each class.
        whole: whether each video has one label throughout.
        patients: of whom there are labelled videos; a video of no known patient counts as one.
        splits: split -> such patients.
    """

    task: str
    label_kind: str
    fps: float
    lengths: tuple[int, ...]
    runs: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    whole: bool = False
    patients: int = 0
    splits: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Each ends a clip."""
        return sum(self.lengths)

    def clips(self, sampling: str) -> int:
        """With labels, of which finetuning learns: one a labelled frame, or one a video."""
        return len(self.lengths) if sampling == "uniform" else sum(self.runs)


@dataclasses.dataclass(frozen=True)
class DeviceFacts:
    """What trains.

    Attributes:
        platform: "cpu", "gpu" or "tpu".
        count: devices of all processes.
        memory: bytes that one may use; None where nothing tells it.
        cores: of this host.
    """

    platform: str
    count: int = 1
    memory: float | None = None
    cores: int = 1


def scheme_of(splits: Collection[str], split: str) -> str:
    """The first scheme of splits, such as "rdv" of "rdv/train", where `split` is none; else ""."""
    if not splits or split in splits:
        return ""
    schemes = (name.removesuffix("/train") for name in splits if name.endswith("/train"))
    return next(schemes, "")


def facts_of_data(dataset: Dataset, split: str = TRAIN) -> DataFacts:
    """The facts of a dataset, with all its splits.

    Args:
        split: that is trained on, if the dataset has it; else that of its first scheme.
    """
    if scheme := scheme_of(dataset.splits, split):
        split = f"{scheme}/train"
    chosen = dataset.split(split) if split in dataset.splits else dataset
    videos = chosen.videos
    runs = [_runs(video) for video in labelled(videos)]
    counts: Counter[int] = Counter()
    for video in labelled(videos):
        for label, frames in Counter(video.labels).items():
            counts.update(dict.fromkeys(_ids(label), frames))
    by_id = {video.video: video for video in dataset.videos}
    return DataFacts(
        dataset.task,
        dataset.label_kind,
        dataset.fps,
        tuple(video.num_frames for video in videos),
        tuple(itertools.chain.from_iterable(runs)),
        tuple(counts[number] for number in range(len(dataset.classes))),
        whole=bool(runs) and all(len(each) == 1 for each in runs),
        patients=_patients(dataset.videos),
        splits={
            name: _patients([by_id[video] for video in ids]) for name, ids in dataset.splits.items()
        },
    )


def facts_of_devices() -> DeviceFacts:
    """The facts of the devices that are here, which must have been started."""
    mesh = make_mesh(MeshConfig())
    platform = jax.default_backend()
    return DeviceFacts(
        platform if platform in ("cpu", "tpu") else "gpu",
        mesh.size,
        fits_devices.device_memory(mesh),
        available_cores(),
    )


def _runs(video: Video) -> list[int]:
    """Frames of each stretch of the same label; without those that have none."""
    groups = itertools.groupby(video.labels or ())
    return [sum(1 for _ in frames) for label, frames in groups if label != UNLABELLED]


def _ids(label: int | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(label, tuple):
        return label
    return () if label == UNLABELLED else (label,)


def _patients(videos: Sequence[Video]) -> int:
    usable = labelled(videos)
    whose = patients_of(usable)
    return len({("patient", whose[v.video]) if v.video in whose else v.video for v in usable})
