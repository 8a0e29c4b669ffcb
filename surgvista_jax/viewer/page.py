"""The page of a video as one HTML file that asks for nothing from outside."""

import base64
import hashlib
from html import escape
from importlib.resources import files

from surgvista_jax.viewer.encoding import in_script, page_data
from surgvista_jax.viewer.film import Film
from surgvista_jax.viewer.operation import Operation

SCRIPTS = (
    "element.js",
    "operation.js",
    "looking.js",
    "paint.js",
    "rows.js",
    "timeline.js",
    "picture.js",
    "panels.js",
    "maps.js",
    "writers_tools.js",
    "writers.js",
    "mending_edits.js",
    "mending_tabs.js",
    "mending_stretch.js",
    "mending_segments.js",
    "mending_classes.js",
    "mending.js",
    "page.js",
)


def page(
    operation: Operation,
    film: Film | None,
    *,
    media: dict | None = None,
    index: str | None = None,
) -> str:
    """The page of one video.

    Args:
        film: the small frames that it shows where there is no video.
        media: as for `page_data`.
        index: address of the page that lists all videos, relative to this one.
    """
    script = "(() => {\n'use strict';\n" + "\n".join(map(_part, SCRIPTS)) + "\n})();\n"
    link = f'<a id="all" href="{escape(index)}">All videos</a>' if index else ""
    body = (
        f'<div id="page">{link}</div><noscript>This page needs JavaScript.</noscript>\n'
        '<script type="application/json" id="data">'
        f"{in_script(page_data(operation, film, media))}</script>\n"
        f"<script>{script}</script>"
    )
    return document(operation.video, body, script, media="'self' blob:" if media else "blob:")


def document(title: str, body: str, script: str = "", media: str = "'none'") -> str:
    """An HTML file in which only our script and style run, and which can load nothing.

    Its Content-Security-Policy knows them by their digests (W3C, CSP level 3): a text that became
    markup by some mistake of ours would still not run.

    Args:
        script: what stands in the body's script element.
        media: where videos may come from, as in that policy.
    """
    style = _part("page.css")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; img-src data: blob:; "
        f"media-src {media}; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>{body}</body></html>\n"
    )


def _part(name: str) -> str:
    return (files("surgvista_jax.viewer") / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")
