"""The report of a check: as text, as JSON, as a page with pictures."""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.image_files import jpeg

import cv2  # isort: skip  # after `storage.decode`, which silences it

LEVELS = ("error", "warning", "note", "good")
SAMPLES = 12
THUMB_HEIGHT = 160


@dataclass(frozen=True)
class Finding:
    """One thing that was found; level is one of LEVELS."""

    level: str
    topic: str
    text: str


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        splits: name -> number of videos and of frames.
        shares: split -> frames that show each class.
    """

    folder: str
    name: str
    task: str
    fps: float
    procedure: str
    classes: Sequence[str]
    splits: Mapping[str, tuple[int, int]]
    shares: Mapping[str, list[int]]
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict:
        return asdict(self)

    def sorted(self) -> list[Finding]:
        return sorted(self.findings, key=lambda finding: LEVELS.index(finding.level))

    def verdict(self) -> str:
        counts = {level: sum(f.level == level for f in self.findings) for level in LEVELS}
        parts = [counted(counts[k], k) for k in ("error", "warning") if counts[k]]
        return " and ".join(parts) or "nothing wrong"


def to_text(report: Report) -> str:
    """One page of text."""
    lines = [
        f"{report.name} ({report.folder})",
        f"task {report.task}, {counted(len(report.classes), 'class', 'classes')}, {report.fps:g}"
        " frames a second" + (f", {report.procedure}" if report.procedure else ""),
        "",
    ]
    width = max(map(len, report.splits), default=0)
    for name, (videos, frames) in report.splits.items():
        lines.append(f"  {name:<{width}}  {videos:>5} videos  {frames:>10,} frames")
    lines.append("")
    usual = [name for name in report.shares if "/" not in name] or list(report.shares)[:3]
    if usual and report.classes:
        shown = list(enumerate(report.classes))
        if len(shown) > 20:  # a page: the most and the least frequent ones
            totals = np.sum([report.shares[name] for name in usual], axis=0)
            order = np.argsort(-totals, kind="stable")
            shown = [(int(i), report.classes[i]) for i in (*order[:10], *order[-8:])]
        width = max(len(name) for _, name in shown)
        lines.append("  " + "share of frames".ljust(width) + "".join(f"{n:>12}" for n in usual))
        for index, name in shown:
            cells = "".join(f"{_share(report, split, index):>12.2%}" for split in usual)
            lines.append(f"  {name:<{width}}{cells}")
        if len(shown) < len(report.classes):
            lines.append(f"  (the 10 most and the 8 least frequent of {len(report.classes)})")
        lines.append("")
    for finding in report.sorted():
        lines.append(f"{finding.level:<8} {finding.topic:<10} {finding.text}")
    lines += ["", report.verdict()]
    return "\n".join(lines)


def to_html(report: Report, dataset: Dataset) -> str:
    """A page on its own: findings, class shares as bars, sample frames."""
    escape = html.escape
    findings = "".join(
        f'<tr class="{f.level}"><td>{f.level}</td><td>{escape(f.topic)}</td>'
        f"<td>{escape(f.text)}</td></tr>"
        for f in report.sorted()
    )
    splits = "".join(
        f"<tr><td>{escape(name)}</td><td>{videos:,}</td><td>{frames:,}</td></tr>"
        for name, (videos, frames) in report.splits.items()
    )
    facts = (
        f"task {report.task} · {counted(len(report.classes), 'class', 'classes')} ·"
        f" {report.fps:g} frames a second"
    )
    if report.procedure:
        facts += f" · {report.procedure}"
    sections = [
        f"<h1>{escape(report.name)}</h1><p>{escape(facts)}<br><code>{escape(report.folder)}</code>"
        f"</p><p class='verdict'>{escape(report.verdict())}</p>",
        f"<h2>Findings</h2><table class='findings'>{findings}</table>",
        "<h2>Splits</h2><table class='numbers'>"
        "<tr><th>split</th><th>videos</th><th>frames</th></tr>"
        f"{splits}</table>",
    ]
    if report.classes:
        sections.append(f"<h2>Share of frames by class</h2>{_bars(report)}")
    sections.append(f"<h2>Sample frames</h2><div class='frames'>{_samples(dataset)}</div>")
    return _PAGE.replace("{title}", escape(report.name)).replace("{body}", "\n".join(sections))


def is_page(path: Path) -> bool:
    """Whether a file is a page of `to_html`, by what all of them have in common."""
    start, style, end = re.split(r"\{title\}|\{body\}", _PAGE)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text.startswith(start) and style in text and text.endswith(end)


def _share(report: Report, split: str, index: int) -> float:
    return report.shares[split][index] / max(report.splits[split][1], 1)


def _bars(report: Report) -> str:
    """A table with a bar for each class and split."""
    usual = [name for name in report.shares if "/" not in name] or list(report.shares)[:3]
    largest = max(
        (_share(report, s, i) for s in usual for i in range(len(report.classes))), default=0
    )
    rows = []
    for index, name in enumerate(report.classes):
        bars = "".join(
            f'<div class="bar s{number % 3}" title="{html.escape(split)}">'
            f'<i style="width:{70 * _share(report, split, index) / (largest or 1):.2f}%"></i>'
            f"<b>{_share(report, split, index):.2%}</b></div>"
            for number, split in enumerate(usual)
        )
        rows.append(f"<tr><td>{html.escape(name)}</td><td class='wide'>{bars}</td></tr>")
    legend = " ".join(
        f'<span class="key s{number % 3}"><i></i>{html.escape(split)}</span>'
        for number, split in enumerate(usual)
    )
    return f"<p>{legend}</p><table class='shares'>{''.join(rows)}</table>"


def _samples(dataset: Dataset) -> str:
    """Frames from all over the dataset with their labels, as they are stored."""
    figures = []
    ends = np.cumsum([video.num_frames for video in dataset.videos])
    for k in range(SAMPLES):
        position = int((2 * k + 1) * ends[-1] // (2 * SAMPLES))
        number = int(np.searchsorted(ends, position, side="right"))
        video = dataset.videos[number]
        frame = position - int(ends[number] - video.num_frames)
        images, unreadable = open_frames(dataset.folder, video).read(np.array([frame]))
        if unreadable[0]:
            picture = "<div class='lost'>cannot be read</div>"
        else:
            picture = f'<img alt="" src="data:image/jpeg;base64,{_thumbnail(images[0])}">'
        label = "" if video.labels is None else _label_text(dataset, video.labels[frame])
        caption = f"{video.video}, frame {frame}"
        figures.append(
            f"<figure>{picture}<figcaption>{html.escape(caption)}<br>"
            f"<b>{html.escape(label)}</b></figcaption></figure>"
        )
    return "".join(figures)


def _thumbnail(image: np.ndarray) -> str:
    height, width = image.shape[:2]
    size = (max(1, round(width * THUMB_HEIGHT / height)), THUMB_HEIGHT)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return base64.b64encode(jpeg(small)).decode()


def _label_text(dataset: Dataset, label: int | tuple[int, ...]) -> str:
    ids = label if isinstance(label, tuple) else (label,)
    names = [dataset.classes[i] if i >= 0 else "no label" for i in ids]
    return ", ".join(names) or "none of the classes"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: data check</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #8884; --a: #3b6fb6; --b: #d08a1d; --c: #4b9a6b; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { margin: .2rem 0; } h2 { margin: 1.6rem 0 .4rem; font-size: 1.1rem; }
code { overflow-wrap: anywhere; } .verdict { font-weight: 600; font-size: 1.1rem; }
table { border-collapse: collapse; } .findings, .shares { width: 100%; }
td, th { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.findings td:nth-child(-n+2) { white-space: nowrap; width: 1%; }
.findings td:first-child { font-weight: 600; }
.numbers td:not(:first-child), .numbers th:not(:first-child) { text-align: right;
  padding-left: 1rem; font-variant-numeric: tabular-nums; }
.error td:first-child { color: #c8323c; } .warning td:first-child { color: #b06f00; }
.good td:first-child { color: #2f8a53; }
.wide { width: 60%; } .bar { display: flex; align-items: center; gap: .4rem; height: 1.1rem; }
.bar i { height: .6rem; } .bar b { font-weight: 400; font-size: .75rem; }
.s0 i { background: var(--a); } .s1 i { background: var(--b); } .s2 i { background: var(--c); }
.key { margin-right: 1rem; } .key i { display: inline-block; width: .8rem; height: .8rem;
  margin-right: .3rem; }
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .8rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; border-radius: 4px; display: block; }
.lost { height: 6rem; background: #8883; display: grid; place-items: center; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; }
</style></head><body>
{body}
</body></html>
"""
