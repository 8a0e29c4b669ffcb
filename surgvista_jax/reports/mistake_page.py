"""Mistakes on the page: their frames where they could be read, else where they are to be found."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from surgvista_jax.predictions.times import moment
from surgvista_jax.reports.mistakes import APART
from surgvista_jax.reports.page_tables import breakable, html_table
from surgvista_jax.reports.words import is_scored, number, sureness, surest_title

SIDES = ("truth", "prediction")

Pictures = Mapping[tuple[str, float], bytes]  # JPEG of (video, second)


def mistake_section(mistakes: dict, pictures: Pictures, runs: int) -> str:
    """The surest mistakes, then the most frequent confusions."""
    words = "Frame by frame: nothing is forgiven near a boundary. What is shown of one video is at "
    words += f"least {APART:.0f} seconds apart."
    words += " Mistakes of the first run." if runs > 1 else ""
    if not pictures:
        words += " The option --frames shows the frames."
    surest = mistakes["surest"]
    parts = [f'<p class="soft">{escape(words)}</p><h3>{surest_title(surest)}</h3>']
    if pictures:
        parts.append(_shots(surest, pictures))
    else:
        rows = [
            [
                breakable(item["video"]),
                moment(item["second"]),
                *(f'<td class="names">{breakable(item[side])}</td>' for side in SIDES),
                *[sureness(item["confidence"])] * is_scored(surest),
            ]
            for item in surest
        ]
        header = ["Video", "Time", "Truth", "Prediction", *["Confidence"] * is_scored(surest)]
        parts.append(html_table(header, rows))
    parts.append("<h3>The most frequent confusions</h3>")
    rows = []
    for pair in mistakes["pairs"]:
        truth, found, items = pair["truth"], pair["prediction"], pair["items"]
        if pictures:
            parts.append(
                f'<p class="pair"><b>{breakable(truth)}</b> taken for <b>{breakable(found)}</b>: '
                f"{pair['frames']:,} frames, {number(pair['share'])} % of its frames</p>"
            )
            parts.append(_shots(items, pictures))
            continue
        places = "; ".join(f"{item['video']} {moment(item['second'])}" for item in items)
        row = [breakable(truth), f'<td class="names">{breakable(found)}</td>']
        row += [f"{pair['frames']:,}", number(pair["share"])]
        rows.append([*row, f'<td class="names">{escape(places)}</td>'])
    if rows:
        header = ["Truth", "Prediction", "Frames", "% of the truth", "Such as"]
        parts.append(html_table(header, rows))
    return "".join(parts)


def _shots(items: Sequence[dict], pictures: Pictures) -> str:
    return f'<div class="shots">{"".join(_shot(item, pictures) for item in items)}</div>'


def _shot(item: dict, pictures: Pictures) -> str:
    jpeg = pictures.get((item["video"], item["second"]))
    where = f"{item['video']} {moment(item['second'])}"
    if jpeg is None:
        picture = '<div class="none">no frame to be read</div>'
    else:
        data = b64encode(jpeg).decode()
        picture = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(where)}">'
    sure = sureness(item["confidence"])
    return (
        f'<figure class="shot">{picture}<figcaption><b>{escape(where)}</b>'
        f"<span>Truth: {breakable(item['truth'])}</span>"
        f"<span>Prediction: {breakable(item['prediction'])}"
        f"{'' if item['confidence'] is None else f' ({sure})'}</span></figcaption></figure>"
    )
