"""What a conversion keeps in its output folder, and what it may replace there."""

from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.journal import Journal
from surgvista_jax.ownership import Ownership
from surgvista_jax.record import Record
from surgvista_jax.writing import writing_to

STATE_FOLDER = ".convert"
_JOURNAL = "journal.jsonl"


def is_begun(out: Path) -> bool:
    """Whether a folder has the journal of a conversion."""
    return (out / STATE_FOLDER / _JOURNAL).exists()


def ownership(out: Path, overwrite: bool) -> Ownership:
    """What a conversion may replace in its output folder."""
    record, journal = out / STATE_FOLDER / "written.jsonl", out / STATE_FOLDER / _JOURNAL

    def earlier(path: Path) -> bool:
        # A version that keeps a record has one before the journal names a video, in its line 2.
        return not record.exists() and is_begun(out) and journal.read_bytes().count(b"\n") > 1

    return Ownership(Record(record), out, overwrite, earlier)


def open_journal(out: Path, source_format: str, source: Path, config: ExtractConfig) -> Journal:
    """Opens the journal of an output folder.

    Raises:
        UserError: the folder cannot be written, or was begun with other settings.
    """
    path = out / STATE_FOLDER / _JOURNAL
    settings = {
        "format": source_format,
        "source": str(source.resolve()),
        "fps": config.fps,
        "short_side": config.short_side,
    }
    if config.cut_margins:
        settings["cut_margins"] = True
    default = ExtractConfig()
    for key in ("clock", "stream", "deinterlace"):  # earlier journals do not have them
        if getattr(config, key) != getattr(default, key):
            settings[key] = getattr(config, key)
    with writing_to(out):
        return Journal(path, settings)
