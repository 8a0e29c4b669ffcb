"""What is there to say of videos that were read, and in how few lines?"""

import re
from collections.abc import Iterable, Sequence

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.extract import Extracted
from surgvista_jax.data.conversion.sources import Remark, SourceVideo

LABELS_OF = "labels of "  # begins what a remark on the labels of a video is about
SHOWN = 3  # of so many or fewer, each has a line of its own


def merged(remarks: Iterable[Remark], num_videos: int) -> list[Remark]:
    """One remark for those that differ only in their numbers and in what they are about.

    Args:
        remarks: each once, in any order.
        num_videos: of the dataset; what holds of all of them says so.
    """
    kinds: dict[tuple[bool, str], list[Remark]] = {}
    for remark in sorted(set(remarks)):
        kind = remark.path.startswith(LABELS_OF), re.sub(r"\d+(?:[.,]\d+)*", "0", remark.text)
        kinds.setdefault(kind, []).append(remark)
    said = []
    for (of_labels, _), alike in kinds.items():
        if len(alike) <= SHOWN:
            said += alike
            continue
        which = "all videos" if len(alike) == num_videos else counted(len(alike), "video")
        first, *others = (remark.path.removeprefix(LABELS_OF) for remark in alike[:SHOWN])
        if len({remark.text for remark in alike}) == 1:
            named = ", ".join((first, *others, "…"))
        else:
            named = f"{first}; in other numbers {', '.join(others)}, …"
        text = f"{alike[0].text} ({named})"
        said.append(Remark((LABELS_OF if of_labels else "") + which, text))
    return sorted(said)


def remarks_on(
    source: SourceVideo, extracted: Extracted, fps: float
) -> tuple[list[Remark], list[Remark]]:
    """What could not be read of a video, and what else should be known of it.

    Args:
        source: the video.
        extracted: what came of it.
        fps: frames a second that were wanted.
    """
    promised, read = extracted.frames_promised, extracted.frames_read
    problems, notes = damage_of(extracted), list(extracted.notes)
    if extracted.is_long:
        notes.append(f"its header promises {promised} frames, {read} were read; all of them count")
    if extracted.content is not None:
        top, bottom, left, right = extracted.content
        notes.append(f"black margins cut off: {right - left}x{bottom - top} pixels are left")
    if extracted.fps < fps:
        text = f"has only {extracted.fps:g} frames a second; all are kept, at that rate"
        notes.append(text)
    path = str(source.path)
    return [Remark(path, text) for text in problems], [Remark(path, text) for text in notes]


def damage_of(extracted: Extracted) -> tuple[str, ...]:
    """Lines on what of a video could not be read, and where that is; () where all could."""
    if not extracted.is_short:
        return tuple(extracted.problems)
    promised, read = extracted.frames_promised, extracted.frames_read
    text = f"its header promises {promised} frames, {read} could be read and are kept"
    parts = [f"{text}, up to {extracted.num_frames / extracted.fps:.1f} s"]
    parts += [f"it {problem.partition(';')[0]}" for problem in extracted.problems]
    return ("; ".join((*parts, "is the file cut short? Replace it by a whole one")),)


def told_once(notes: Sequence[Remark]) -> list[Remark]:
    """One note for what holds alike of many videos, instead of one for each."""
    by_text: dict[str, list[Remark]] = {}
    for note in notes:
        by_text.setdefault(note.text, []).append(note)
    told = []
    for text, same in by_text.items():
        if len(same) > SHOWN:
            told.append(Remark(f"{counted(len(same), 'video')}, such as {same[0].path}", text))
        else:
            told += same
    return told
