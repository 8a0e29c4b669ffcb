"""Which operations the words of `dataset.json` mean, and on which part of the body each is done."""

from dataclasses import dataclass

MANY = "many"  # what datasets say whose videos show more operations than could be listed

# Operation -> anatomy; the operation is found by its name within a dataset's words.
ANATOMY = {
    "cholecystectomy": "gallbladder",
    "liver resection": "liver",
    "gastric bypass": "stomach and small bowel",
    "submucosal dissection": "gastrointestinal mucosa",
    "hysterectomy": "female reproductive organs",
    "gynaecologic laparoscopy": "female reproductive organs",
    "prostatectomy": "prostate",
    "pituitary surgery": "pituitary gland",
    "cataract": "eye",
    "glaucoma": "eye",
    "corneal surgery": "eye",
}


@dataclass(frozen=True)
class Operated:
    """What a dataset shows.

    Attributes:
        operations: keys of ANATOMY, or the dataset's own words where they name none of these.
        anatomy: values of ANATOMY; empty where it is not known.
    """

    operations: frozenset[str]
    anatomy: frozenset[str]

    @property
    def known(self) -> bool:
        return bool(self.operations)


def operated(procedure: str) -> Operated:
    """What the `procedure` of a dataset says; nothing where it is empty or MANY."""
    words = " ".join(procedure.lower().split())
    if words in ("", MANY):
        return Operated(frozenset(), frozenset())
    found = frozenset(name for name in ANATOMY if name in words)
    if not found:
        return Operated(frozenset({words}), frozenset())
    return Operated(found, frozenset(ANATOMY[name] for name in found))


SAME, OTHER, UNKNOWN = "same", "other", "unknown"


def common(one: Operated, other: Operated) -> tuple[str, str]:
    """(of the operation, of the anatomy): whether two datasets have any in common.

    The same operation is done on the same part, also where it is not known which.
    """
    if not one.known or not other.known:
        return UNKNOWN, UNKNOWN
    if one.operations & other.operations:
        return SAME, SAME
    if not one.anatomy or not other.anatomy:
        return OTHER, UNKNOWN
    return OTHER, SAME if one.anatomy & other.anatomy else OTHER
