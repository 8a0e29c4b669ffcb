"""README and the pages of docs/, as they are in the repository and as they are built."""

import re

from docs import generate
from tests.support.places import ROOT

README = "README.md"


def read(name: str) -> str:
    """README.md, or a page below docs/."""
    return (ROOT / name if name == README else ROOT / "docs" / name).read_text(encoding="utf-8")


def written() -> dict[str, str]:
    """README.md and the path below docs/ of each page -> its text in the repository."""
    folder = ROOT / "docs"
    names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.md"))]
    return {name: read(name) for name in (README, *names)}


def built() -> dict[str, str]:
    """Path below docs/ -> text, with what is made of facts and the pages that are."""
    pages = written()
    del pages[README]
    return {name: generate.filled(text) for name, text in (pages | generate.pages()).items()}


def blocks(text: str, language: str) -> list[str]:
    """The code of one language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
