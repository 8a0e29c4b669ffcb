"""The model card of a file of weights, in Markdown: what its user has to know."""

import dataclasses
import textwrap
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.models.patches import IMAGENET_MEAN, IMAGENET_STD
from surgvista_jax.reports.build import FORMAT
from surgvista_jax.reports.names import in_markdown
from surgvista_jax.reports.words import number, span, title_of
from surgvista_jax.weights.how_to_load import how_to_load
from surgvista_jax.weights.kinds import ClassifierConfig, described, encoder_of
from surgvista_jax.weights.names.table import RAW, Table, in_decimals
from surgvista_jax.weights.provenance import Source
from surgvista_jax.weights.runs import Run

KINDS = {
    "student": "a pretraining model, an encoder of video and the decoders that trained it",
    "encoder": "an encoder",
    "classifier": "a classifier of video",
    "teacher": "an image encoder",
    "cnn": "a convolutional network of single frames",
}
POSITIONS = {
    "separable": "fixed sine tables of time, row and column, computed and not stored",
    "flat": "one fixed sine table that counts through the clip, computed and not stored",
    "stretched": "the fixed sine table of 8x14x14 tokens, interpolated to the clip",
    "learned": "a learned table of a frame's patches",
}
TERMS = (
    "A trained model inherits the terms of the data and of the weights that it was made from. Those"
    " are given as they were stated to the program that trained it; read the originals before you"
    " pass the file on."
)
LIMITS = (
    "**Not a medical device.** For research: it has not been validated for any clinical use, and"
    " must not inform a decision about a patient. Expect it to do worse on procedures, instruments,"
    " cameras and centres that are not in its data."
)


@dataclasses.dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        name: of the file.
        digest: sha256 of the file.
        table: whose names are in the file.
        kind, config: what it holds.
        numbers: how many parameters.
        run: what made it; None for a file that was only converted.
        sources: what it was made from.
        left_out: parts of the model that are not in the file.
        metrics: a report of `surgvista evaluate`, or None.
    """

    name: str
    digest: str
    table: Table
    kind: str
    config: Any
    numbers: int
    run: Run | None
    sources: tuple[Source, ...]
    left_out: tuple[str, ...] = ()
    metrics: dict | None = None


def card(about: Card) -> str:
    """The card, Markdown.

    Raises:
        UserError: what the run's or the imported folder says of it is not what we write there.
    """
    try:
        return "\n\n".join(_parts(about)) + "\n"
    except (KeyError, TypeError, ValueError) as error:
        if about.run is None:
            raise
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"{about.run.folder}: what is written there of how it was made is damaged ({said});"
            " take another copy"
        ) from error


def _parts(about: Card) -> list[str]:
    parts = [
        f"# {about.name}",
        _summary(about),
        _filled(LIMITS),
        "## How it was made",
        _bullets(_history(about)),
        "## Input",
        _bullets(_input(about)),
        "## How to load it",
        how_to_load(about.name, about.table, about.kind, about.config),
    ]
    if isinstance(about.config, ClassifierConfig) and about.run is not None:
        classes = about.run.about.get("classes", [])
        parts += [
            "## Classes",
            ", ".join(f"{i} {in_markdown(name)}" for i, name in enumerate(classes)) + ".",
        ]
    if about.metrics is not None:
        parts += ["## Scores", *_scores(about.metrics)]
    rows = [[s.what, s.licence, s.digest[:16] or "–"] for s in about.sources]
    parts += [
        "## Sources and their terms",
        _table(["Source", "Licence", "Digest"], rows) if rows else "No sources were recorded.",
        _filled(TERMS),
        f"Written by surgvista_jax {__version__}.",
    ]
    return parts


def read_metrics(path: Path) -> dict:
    """A report of `surgvista evaluate`. Raises UserError for anything else."""
    if not path.is_file():
        raise UserError(f"--metrics={path}: there is no such file")
    report = read_object(path)
    missing = {"format", "protocol", "scores", "system", "notes"} - report.keys()
    if missing or report["format"] != FORMAT:
        raise UserError(
            f"--metrics={path}: is not a report.json of `surgvista evaluate` of format {FORMAT}"
        )
    return report


def _summary(about: Card) -> str:
    encoder = encoder_of(about.config)
    model = described(encoder) if encoder is not None else about.config.architecture
    lines = [
        f"This is {KINDS[about.kind]}: {model}; {about.numbers:,} parameters, float32. Its names"
        f" are those of {about.table.title} (`{about.table.name}`, {about.table.source}).",
    ]
    if about.left_out:
        lines.append(f"Not in the file: {', '.join(about.left_out)}.")
    lines.append(f"sha256 `{about.digest}`.")
    return "\n".join(_filled(line) for line in lines)


def _history(card: Card) -> list[str]:
    run = card.run
    if run is None or run.kind == "imported":
        return ["Converted from other weights, which are named below; nothing was trained."]
    config, about = run.config, run.about
    if run.kind == "pretrained":
        batch, slide = config["budget"]["batch_size"], config["clip"].get("slide", 1)
        sliding = f", which slide by {slide} over the same frames" * (slide > 1)
        lines = [
            f"Pretrained without labels for {run.step:,} updates of {batch} clips"
            f" ({run.step * batch:,} clips{sliding}),"
            f" {config['mask']['ratio']:.0%} of the tokens hidden ({config['mask']['kind']});"
            f" seed {config['seed']}.",
            f"It started from {_start(about.get('init'))}"
            f" and learned from {_teacher(about.get('teacher'))}.",
        ]
    else:
        # A probe counts epochs: its checkpoint's number is the epoch of the layer that was kept.
        unit = "epoch" if about["mode"] == "linear" else "update"
        lines = [
            f"Finetuned ({about['mode']}) on {in_markdown(about['dataset'])}, task {about['task']}"
            f" ({about['label_kind']} label), for {run.step:,} {unit}{'s' * (run.step != 1)};"
            f" seed {about['seed']}.",
            f"It started from {_start(about.get('init_digest'))}.",
        ]
        if about.get("selected_on") == "test":
            lines.append(
                "SELECTED ON TEST: its parameters were chosen by their score on the test videos, so"
                " that scores on those are too high."
            )
        elif about.get("selected_on") == "last":
            lines.append(f"Its parameters are those of the last {unit}: nothing was chosen.")
        else:
            lines.append("Its parameters were chosen by their score on validation videos.")
    lines += [
        in_markdown(_sentence(source.what))
        for source in card.sources
        if source.what.startswith("data: ")
    ]
    lines.append(f"sha256 of its configuration: `{run.config_digest}`.")
    return lines


def _start(digest: str | None) -> str:
    if digest == "random":
        return "random parameters"
    return "other weights, named below" if digest else "parameters that were not recorded"


def _teacher(digest: str | None) -> str:
    if digest == "none":
        return "pixels alone"
    if digest == "random":
        return "pixels and a teacher of random parameters"
    return "pixels and a frozen teacher" + (", named below" if digest else "")


def _input(about: Card) -> list[str]:
    clip = about.run.clip if about.run is not None else None
    lines = []
    if clip is not None:
        lines.append(
            f"{clip['num_frames']} frames of {clip['size']}x{clip['size']} pixels,"
            f" {clip['stride']} apart at the dataset's rate; the last is the moment in question."
        )
    else:
        lines.append("Number, spacing and size of the frames: as its source says.")
    if getattr(about.config, "pixels", "imagenet") == "bgr":
        lines.append("Pixels: BGR, divided by 255.")
    else:
        lines.append(f"Pixels: RGB, {_pixels(about.table)}.")
    encoder = encoder_of(about.config)
    if encoder is not None:
        lines.append(
            f"Tokens of {encoder.tubelet} frames x {encoder.patch}x{encoder.patch} pixels;"
            f" positions: {POSITIONS[encoder.positions]}. The layer norms' epsilon is"
            f" {in_decimals(encoder.transformer.norm_epsilon)}."
        )
    return lines


def _pixels(table: Table) -> str:
    """What a model's program does to pixels from 0 to 255, in words."""
    if table.pixels == RAW:
        return "values from 0 to 255 as they are"
    pixels = table.pixels or (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = (", ".join(f"{x:g}" for x in values) for values in pixels)
    return f"divided by 255, minus ({mean}), divided by ({std})"


def _scores(report: dict) -> list[str]:
    rows = [
        [title_of(entry), number(entry["value"], entry["percent"]), span(entry, entry["percent"])]
        for entry in report["scores"]
        if entry["primary"]
    ]
    level = f"{report['bootstrap']['level']:.0%}".replace("%", " %")
    said = (
        f"By the protocol {report['protocol']['label']}, {report['num_frames']} frames of"
        f" {in_markdown(report['split'])}; intervals over {report['unit']}s."
    )
    parts = [_filled(said), _table(["Score", "Value", f"{level} interval"], rows)]
    if report["notes"]:
        parts.append(_bullets([in_markdown(note) for note in report["notes"]]))
    return parts


def _table(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] * len(header)
    cells = [[in_markdown(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *cells])


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _bullets(lines: list[str]) -> str:
    return "\n".join(
        textwrap.fill(
            line, 100, initial_indent="- ", subsequent_indent="  ", break_long_words=False
        )
        for line in lines
    )
