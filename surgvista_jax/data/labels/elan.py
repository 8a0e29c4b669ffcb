"""The tiers of an ELAN document (.eaf), with the lines at which its annotations stand."""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.errors import UserError

# The line of an annotation, its start and end in milliseconds, and its text.
Annotation = tuple[int, int, int, str]


def read_tiers(path: Path) -> dict[str, list[Annotation]]:
    """Name of a tier -> its annotations that are aligned to time.

    Raises:
        UserError: not an ELAN document, or an annotation without a time; naming the line.
    """
    reading = _Reading(path)
    parser = expat.ParserCreate()
    reading.parser = parser
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.take_text
    parser.StartDoctypeDeclHandler = reading.refuse_doctype
    try:
        parser.Parse(read_text(path), True)
    except expat.ExpatError as error:
        said = expat.errors.messages.get(error.code, "") or expat.ErrorString(error.code)
        raise UserError(f"{path}, line {error.lineno}: not XML ({said})") from None
    return {name: [reading.timed(*found) for found in tier] for name, tier in reading.tiers.items()}


@dataclass
class _Reading:
    """What was read so far."""

    path: Path
    tiers: dict[str, list[tuple[int, str, str, str]]] = field(default_factory=dict)
    slots: dict[str, str | None] = field(default_factory=dict)
    parser: expat.XMLParserType | None = None
    _tier: str = ""
    _open: tuple[int, str, str] | None = None
    _text: list[str] | None = None
    _begun: bool = False

    @property
    def line(self) -> int:
        return self.parser.CurrentLineNumber if self.parser else 0

    def refuse_doctype(self, *declared: object) -> None:
        raise UserError(f"{self.path}, line {self.line}: a DOCTYPE has no place in ELAN's files")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._begun and name != "ANNOTATION_DOCUMENT":
            raise UserError(f"{self.path}, line {self.line}: not a document of ELAN, but <{name}>")
        self._begun = True
        if name == "HEADER" and attributes.get("TIME_UNITS", "milliseconds") != "milliseconds":
            units = attributes["TIME_UNITS"]
            raise UserError(f"{self.path}, line {self.line}: times in {units}; save milliseconds")
        if name == "TIME_SLOT":
            self.slots[attributes.get("TIME_SLOT_ID", "")] = attributes.get("TIME_VALUE")
        elif name == "TIER":
            self._tier = attributes.get("TIER_ID", "")
            self.tiers.setdefault(self._tier, [])
        elif name == "ALIGNABLE_ANNOTATION":
            ends = attributes.get("TIME_SLOT_REF1", ""), attributes.get("TIME_SLOT_REF2", "")
            self._open = (self.line, *ends)
        elif name == "ANNOTATION_VALUE":
            self._text = []

    def take_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def end(self, name: str) -> None:
        if name == "ANNOTATION_VALUE" and self._open is not None:
            text = " ".join("".join(self._text or ()).split())
            self.tiers.setdefault(self._tier, []).append((*self._open, text))
        if name == "ANNOTATION_VALUE":
            self._text = None
        if name == "ALIGNABLE_ANNOTATION":
            self._open = None

    def timed(self, line: int, first: str, last: str, text: str) -> Annotation:
        ends = []
        for slot in (first, last):
            value = self.slots.get(slot)
            if value is None or not (value.isascii() and value.isdigit() and len(value) < 13):
                raise UserError(
                    f"{self.path}, line {line}: annotation {text[:40]!r} has no time at its slot "
                    f"{slot!r}; align it in ELAN"
                )
            ends.append(int(value))
        return line, ends[0], ends[1], text
