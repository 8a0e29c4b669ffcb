"""The command `surgvista view`: predictions as pages in a browser, with the videos they are of."""

import argparse
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.ownership import add_overwrite, in_folder
from surgvista_jax.predictions.npz import HIGHEST_RATE
from surgvista_jax.predictions.places import file_in
from surgvista_jax.viewer.files import check_pages, pages_on_demand, write_pages
from surgvista_jax.viewer.operation import Operation
from surgvista_jax.viewer.reading import read_operations
from surgvista_jax.viewer.serve import PageServer
from surgvista_jax.viewer.videos import Films, files_of_videos, written_sources

_HIGHEST_PORT = 65535
USUAL_PORT = 8417  # browsers keep mended labels by address, port included
MOVED = "is not where it was: it was moved or removed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "predictions",
        metavar="PREDICTIONS",
        help="predictions.npz, or a folder that holds one: a run's, or what `predict` wrote",
    )
    parser.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="VIDEO",
        help="video files, or folders of them, called as the predicted videos; without them those"
        " that `predict` looked at, where they still are",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        help="what is true: a dataset folder, label files (.csv) as `data convert` reads them, or"
        " phase files (.txt) [the labels in PREDICTIONS]",
    )
    parser.add_argument("--truth-fps", type=float, help="of phase files: rate of their frames")
    parser.add_argument(
        "--against", metavar="PREDICTIONS", help="of a second model, of the same classes"
    )
    parser.add_argument(
        "--lanes",
        metavar="PREDICTIONS",
        action="append",
        default=[],
        help="of other classes, such as instruments, actions or criteria: a lane for each below the"
        " ribbon; or maps of `figure tokens`, FILE.json; may be given several times",
    )
    parser.add_argument(
        "--port",
        type=int,
        help="of 127.0.0.1, by which the browser keeps mended labels; 0: any that is free"
        f" [{USUAL_PORT}, or any that is free where it is taken]",
    )
    parser.add_argument("--no-browser", action="store_true", help="say the address, open nothing")
    parser.add_argument("--out", type=Path, help="write the pages into this folder, serve nothing")
    add_overwrite(parser)


def main(arguments: argparse.Namespace) -> int:
    """Serves until Ctrl-C, or writes; returns 0."""
    if arguments.port is not None and not 0 <= arguments.port <= _HIGHEST_PORT:
        raise UserError(f"--port {arguments.port}: must be from 0 (any) to {_HIGHEST_PORT}")
    rate = arguments.truth_fps
    if rate is not None and not 0 < rate <= HIGHEST_RATE:
        raise UserError(f"--truth-fps {rate:g}: must be above 0, at most {HIGHEST_RATE:,.0f}")
    operations = read_operations(
        arguments.predictions,
        truth=arguments.truth,
        truth_fps=rate,
        against=arguments.against,
        lanes=arguments.lanes,
    )
    ids = [operation.video for operation in operations]
    folder = file_in(arguments.predictions).parent
    if arguments.videos:
        files = files_of_videos(ids, arguments.videos, folder)
    else:
        noted = written_sources(folder)
        files = {video: noted[video] for video in ids if video in noted}
    for video in ids if files else ():
        if video not in files:
            print(f"{video}: no video of that name was given", file=sys.stderr)
        elif not files[video].is_file():
            print(f"{files[video]}: {MOVED}; give VIDEO, where it is now", file=sys.stderr)
    films = Films(folder, files)
    if arguments.out is not None:
        owned = in_folder(arguments.out, arguments.overwrite)
        check_pages(owned, ids)
        print(f"{write_pages(owned, operations, films)}: open it in a browser")
        return 0
    return _serve(arguments, operations, films)


def _serve(arguments: argparse.Namespace, operations: list[Operation], films: Films) -> int:
    media, files = {}, {}
    for number, (video, path) in enumerate(films.files.items()):
        if not path.is_file():
            media[video] = {"name": path.name, "missing": f"{path.name} {MOVED}"}
            continue
        address = f"/video/{number}{path.suffix}"
        files[address] = path.resolve()
        media[video] = {"url": address, "name": path.name}
    pages = pages_on_demand(operations, films, media)
    with _server(pages, files, arguments.port) as server:
        try:
            print(f"{server.address}  (Ctrl-C ends it)", flush=True)
            if not arguments.no_browser:
                # A browser in the terminal returns when it is left, and needs the pages before.
                once = (server.address_once(),)
                threading.Thread(target=webbrowser.open, args=once, daemon=True).start()
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended", flush=True)
    return 0


def _server(
    pages: Mapping[str, Callable[[], str]], files: Mapping[str, Path], port: int | None
) -> PageServer:
    if port is not None:
        return PageServer(pages, files, port)
    try:
        return PageServer(pages, files, USUAL_PORT)
    except UserError:
        server = PageServer(pages, files)
        print(
            f"port {USUAL_PORT} is taken: labels that were mended there do not show at this one",
            file=sys.stderr,
        )
        return server
