"""The pages of videos as files of a folder, or as texts that a server hands out."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from surgvista_jax.data.video_files import files_of
from surgvista_jax.ownership import Ownership
from surgvista_jax.viewer.film import Film
from surgvista_jax.viewer.index import index_page
from surgvista_jax.viewer.operation import Operation
from surgvista_jax.viewer.page import page
from surgvista_jax.writing import write_text

SUFFIX = ".html"


def page_files(folder: Path, videos: Sequence[str]) -> tuple[list[Path], Path | None]:
    """The file of each video's page, and that of their index, which one video alone has not.

    Raises:
        UserError: the id of a video is no name of a file.
    """
    pages = files_of(folder, videos, SUFFIX)
    if len(videos) == 1:
        return pages, None
    taken = {os.path.normcase(page).casefold() for page in pages}
    name = "index"
    while os.path.normcase(folder / f"{name}{SUFFIX}").casefold() in taken:
        name = f"_{name}"  # a video is called so
    return pages, folder / f"{name}{SUFFIX}"


def check_pages(owned: Ownership, videos: Sequence[str]) -> None:
    """Refuses what `write_pages` would refuse, before anything is computed.

    Raises:
        UserError: the id of a video is no name of a file; a file in the way may not be replaced.
    """
    pages, index = page_files(owned.folder, videos)
    owned.check([*pages, *filter(None, [index])])


def write_pages(
    owned: Ownership,
    operations: Sequence[Operation],
    film: Callable[[Operation], Film | None],
) -> Path:
    """Writes the page of each video and, of several, their index; returns the one to open.

    Args:
        owned: of the folder that is written.
        film: the small frames of an operation's video; called for one after the other.

    Raises:
        UserError: one cannot be written, or what is there by now may not be replaced.
    """
    pages, index = page_files(owned.folder, [operation.video for operation in operations])
    for operation, path in zip(operations, pages, strict=True):
        write_text(path, page(operation, film(operation), index=_link(path, index)), owned)
    if index is None:
        return pages[0]
    write_text(index, index_page(operations, [_link(index, path) or "" for path in pages]), owned)
    return index


def pages_on_demand(
    operations: Sequence[Operation],
    film: Callable[[Operation], Film | None],
    media: Mapping[str, dict],
) -> dict[str, Callable[[], str]]:
    """What makes each page, by its address on a server; the one to open comes first.

    Args:
        film: as for `write_pages`.
        media: of videos by their ids, as for `page.page`, but that `url` begins at the pages' root,
            and is not quoted.

    Raises:
        UserError: the id of a video is no name of a file.
    """
    pages, index = page_files(Path("/"), [operation.video for operation in operations])
    made: dict[str, Callable[[], str]] = {}
    if index is not None:
        addresses = [_link(index, path) or "" for path in pages]
        made[index.as_posix()] = functools.partial(index_page, operations, addresses)
    for operation, path in zip(operations, pages, strict=True):
        shown, back = media.get(operation.video), _link(path, index)
        if shown and "url" in shown:
            shown = {**shown, "url": _link(path, Path(shown["url"]))}
        made[path.as_posix()] = functools.partial(_page_of, operation, film, shown, back)
    return made


def _page_of(
    operation: Operation,
    film: Callable[[Operation], Film | None],
    media: dict | None,
    index: str | None,
) -> str:
    return page(operation, film(operation), media=media, index=index)


def _link(source: Path, target: Path | None) -> str | None:
    """The address of a file in a page beside it."""
    if target is None:
        return None
    # "./" so that a colon in a name is not taken for a scheme.
    return "./" + quote(Path(os.path.relpath(target, source.parent)).as_posix(), safe="/")
