"""The choices that make up a named evaluation, and the fingerprint that identifies it.

A protocol is a frozen bundle of choices. Its digest covers everything that can move a number, not
the words that describe it; `version` goes up when a protocol's choices change, so that a digest in
an old report stays explainable.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from surgvista_jax.counted import counted
from surgvista_jax.facts.splits import Part
from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.facts.whole_numbers import whole


@dataclass(frozen=True)
class Relaxed:
    """Forgiveness around phase boundaries (metrics.relaxed)."""

    dataset: str
    indexing: str
    early: str = "two_ahead"
    window_seconds: int = 10
    cap: float = 1.0


@dataclass(frozen=True)
class PhaseChoices:
    absent: str  # metrics.phase.ABSENT_POLICIES
    relaxed: Relaxed | None = None
    left_out: tuple[int, ...] = ()  # classes whose true frames are not scored
    idle: int | None = None  # a class whose frames forgive the neighbours (metrics.idle)


@dataclass(frozen=True)
class TripletChoices:
    table: str  # facts.triplets.TABLES
    absent: str  # metrics.average_precision.ABSENT_RULES
    null_classes: str  # "keep" | "drop"
    folds: tuple[tuple[int, ...], ...] = ()  # test videos of each fold of a cross-validation


@dataclass(frozen=True)
class SingleChoices:
    """Single labels of clips or frames."""

    absent: str  # metrics.average_precision.ABSENT_RULES
    macro_absent: str = "union"  # metrics.phase.ABSENT_POLICIES, for macro P, R, F1


@dataclass(frozen=True)
class CriteriaChoices:
    """Criteria of the critical view of safety, each yes or no."""

    threshold: float = 0.5  # for accuracy, precision, recall, F1
    rounding: str = "half_to_even"  # of the annotators' mean


@dataclass(frozen=True)
class PresenceChoices:
    """Classes that are each there or not, such as instruments."""

    absent: str  # metrics.average_precision.ABSENT_RULES


@dataclass(frozen=True)
class Split:
    """Test videos that papers use, by number."""

    name: str
    numbers: frozenset[int]
    frames: int | None = None  # at the protocol's rate

    @staticmethod
    def of(name: str, part: Part) -> "Split":
        """The split of a part that publications tell of."""
        return Split(name, frozenset(part.numbers), part.frames)

    def has_all(self, num_frames: int) -> bool:
        """Whether these are all frames; copies that lack one of each video count as whole."""
        return self.frames is None or 0 <= self.frames - num_frames <= len(self.numbers)


@dataclass(frozen=True)
class Protocol:
    """One way to evaluate one task."""

    name: str
    version: int
    task: str  # facts.tasks.TASKS
    choices: PhaseChoices | TripletChoices | SingleChoices | CriteriaChoices | PresenceChoices
    primary: tuple[str, ...]  # keys of the scores that are reported first and tested
    text: str  # in words, one paragraph
    classes: tuple[str, ...] = ()  # () = those of the predictions
    fps: float | None = None  # frames a second that are scored; None = as given
    shortest_seconds: float = 0.0  # a median video below this, or above
    longest_seconds: float = math.inf  # this, means that fps was wrong
    splits: tuple[Split, ...] = field(default=(), compare=False)

    @property
    def label_kind(self) -> str:
        """Of the labels that it scores: facts.tasks.LABEL_KINDS."""
        return TASKS[self.task].label_kind

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of their ids; () = those of the predictions."""
        if isinstance(self.choices, TripletChoices):
            return TABLES[self.choices.table].class_names("ivt")
        return self.classes

    def misfit(self, task: str, label_kind: str, classes: Sequence[str]) -> str:
        """Says in words why labels are none that it scores; "" where they may be.

        Args:
            task: facts.tasks.TASKS, or another word, which says nothing.
            label_kind: facts.tasks.LABEL_KINDS; "": that of the task.
            classes: their names; () if they are not known.
        """
        usual = TASKS[task].label_kind if task in TASKS else self.label_kind
        kind = label_kind or usual
        fitting = next((t.protocol for t in TASKS.values() if t.name == task and t.protocol), "")
        hint = f"; {fitting} scores any {task}" if fitting and kind == usual else ""
        if kind != self.label_kind:
            words = {"single": "one class a frame", "multi": "several classes a frame"}
            return f"holds {words[kind]}, {self.name} scores {words[self.label_kind]}{hint}"
        # Those of any classes score clips and presence of whatever task.
        open_to_all = isinstance(self.choices, SingleChoices | PresenceChoices)
        if task in TASKS and task != self.task and not (open_to_all and not self.classes):
            return f"is of task {task}, {self.name} of task {self.task}{hint}"
        wanted = self.class_names
        if classes and wanted and len(classes) != len(wanted):
            return (
                f"has {len(classes)} classes ({_first(classes)}), {self.name} has {len(wanted)} "
                f"({_first(wanted)}){hint}"
            )
        return ""

    @property
    def published_task(self) -> str:
        """What reports and digests call the task, which may be an earlier name of it."""
        return TASKS[self.task].published_name or self.task

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over all that decides the numbers."""
        decides = asdict(self) | {"task": self.published_task}
        for words in ("text", "splits", "shortest_seconds", "longest_seconds"):
            del decides[words]
        # Choices that came later count where they are made: earlier digests stay.
        decides["choices"] = {
            key: value
            for key, value in decides["choices"].items()
            if key not in ("left_out", "idle", "folds") or value not in ((), None)
        }
        canonical = json.dumps(decides, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """What a report prints: name, version and digest."""
        return f"{self.name} v{self.version} ({self.digest})"

    def recognise_split(self, videos: Sequence[str], num_frames: int) -> str:
        """Says in words which known test split the videos are, and whether whole."""
        several = counted(len(videos), "video")
        if not self.splits:
            return f"{several}; no test split is on record for this protocol"
        numbers = [video_number(video) for video in videos]
        for split in self.splits:
            if None not in numbers and len(numbers) == len(split.numbers) == len(set(numbers)):
                if set(numbers) == split.numbers:
                    odd = ""
                    if not split.has_all(num_frames):
                        odd = f" (whose videos have {split.frames:,} frames)"
                    return f"{several}: {split.name}{odd}"
        known = "; ".join(split.name for split in self.splits)
        return (
            f"{several}, which are none of the test splits on record ({known}): do not "
            "compare the scores with those of other splits"
        )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def video_number(video: str) -> int | None:
    """The last whole number in a video's name: 41 of "video41", 6 of "VID06", None of "a"."""
    found = re.findall(r"\d+", video)
    return whole(found[-1]) if found else None
