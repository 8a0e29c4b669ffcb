"""What a conversion has to say: one line for all remarks of one kind."""

import re
from collections.abc import Iterable

from surgvista_jax.data.conversion.sources import Remark

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
        which = "all videos" if len(alike) == num_videos else f"{len(alike)} videos"
        first, *others = (remark.path.removeprefix(LABELS_OF) for remark in alike[:SHOWN])
        if len({remark.text for remark in alike}) == 1:
            named = ", ".join((first, *others, "…"))
        else:
            named = f"{first}; in other numbers {', '.join(others)}, …"
        text = f"{alike[0].text} ({named})"
        said.append(Remark((LABELS_OF if of_labels else "") + which, text))
    return sorted(said)
