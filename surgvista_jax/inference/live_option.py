"""How do users say where the frames of a live prediction come from, and how is it run?"""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from surgvista_jax.checks import MOST_PIXELS
from surgvista_jax.counted import counted
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference.idle_options import Way, refuse_idle
from surgvista_jax.inference.live import ignored_signals, predict_live
from surgvista_jax.inference.live_record import LiveRecord
from surgvista_jax.inference.live_sources import Raw, is_camera, open_source
from surgvista_jax.inference.smoothing_option import smoothing_of
from surgvista_jax.inference.streaming import StreamingPredictor
from surgvista_jax.inference.weights_option import loaded
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import Ownership, in_folder
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.writing import CannotWrite, clear_asides

LIVE_HELP = (  # of `--stream`
    "; without VIDEO, what to look at live: a file in real time, a camera (0, /dev/video0, an"
    " address), or - for frames on standard input"
)


def add_live(parser: argparse.ArgumentParser) -> None:
    """Adds the options of frames on standard input; `--stream` stands with those of video files."""
    live = parser.add_argument_group("frames on standard input (--stream=-), RGB, a byte each")
    live.add_argument("--frame-size", metavar="WxH", help="pixels of a frame")
    live.add_argument("--frame-rate", type=float, metavar="R", help="frames a second")


def run_live(arguments: argparse.Namespace) -> int:
    """Predicts live and tells it: lines on standard output, at the end one on standard error.

    Args:
        arguments: of `surgvista predict`, without VIDEO.

    Returns:
        The exit code; see `Outcome.status`.

    Raises:
        UserError: options that do not belong together; a source that cannot be opened.
        BrokenPipeError: nobody reads the lines any more; all is written.
        BaseException: what nobody foresaw ended the stream; all is written, and the line says it.
    """
    where = arguments.stream
    if where is None:
        raise UserError("say what to look at: VIDEO …, or --stream=SOURCE to predict live")
    if arguments.overwrite and arguments.out is None:
        raise UserError("--overwrite: is of --out, which is not given")
    way = _way_of(where)
    refuse_idle(arguments, way)
    raw = _raw(arguments)
    with _alone(arguments) as owned:
        trained = loaded(arguments)
        smoothing = smoothing_of(arguments, trained.meaning, trained.transitions)
        record = None
        if owned is not None:
            file = Path(os.path.abspath(where)) if way is Way.LIVE_FILE else None
            record = LiveRecord(trained.without_params, smoothing, owned, _id_of(where, way), file)
        keys = {key: getattr(arguments, key) for key in ("clock", "deinterlace")}
        options = VideoOptions(**{key: value for key, value in keys.items() if value is not None})
        source = open_source(where, trained.meaning.fps, options, raw)
        predictor = StreamingPredictor(trained, smoothing, 0.0, source.size)
        del trained  # an accelerator has the parameters now
        print(f"{arguments.checkpoint}: {predictor.meaning}", file=sys.stderr)
        keep = () if record is None else (record.keep,)
        outcome = predict_live(predictor, source, lambda line: print(line, flush=True), *keep)
        _tell(f"surgvista: {'standard input' if where == '-' else where}: {outcome}")
        written = record is None or _written(record, arguments.out, outcome.broke)
        if outcome.error is not None:
            raise outcome.error
    return outcome.status or int(not written)


def _tell(text: str) -> None:
    """A line on standard error, whose reader may be gone; what is to be written is written."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(arguments: argparse.Namespace) -> Iterator[Ownership | None]:
    """Of the folder that is written at the end, alone in it; None where none is.

    Raises:
        UserError: predictions are there that must stay; another program writes there.
    """
    if arguments.out is None:
        yield None
        return
    owned = in_folder(arguments.out, arguments.overwrite)
    with alone_in(arguments.out, "take another --out"):
        clear_asides(arguments.out)
        path = arguments.out / PREDICTIONS
        if not arguments.overwrite and os.path.lexists(path):
            raise UserError(f"{path}: is there already; take another --out, or --overwrite")
        yield owned


def _id_of(where: str, way: Way) -> str:
    """What a stream is called in its files; an address may hold a password."""
    if way is Way.LIVE_FILE:
        return Path(where).stem
    return "standard_input" if way is Way.PIPE else "camera"


def _written(record: LiveRecord, out: Path, broke: str) -> bool:
    """Writes what is left, and says where; returns whether all of it could be written."""
    with ignored_signals():  # hours of predictions lie in memory alone
        count = record.write_said(broke)
    if not count:
        _tell(f"surgvista: nothing was predicted, nothing is written to {out}")
        return True
    _tell(f"surgvista: {out / PREDICTIONS}: {counted(count, 'prediction')}")
    try:
        page = record.write_page()
    except CannotWrite as error:
        left = f"the predictions are whole: `surgvista view {out}` shows them"
        _tell(f"{error}; {left}")
        return False
    _tell(f"surgvista: {page}: open it in a browser")
    return True


def _way_of(where: str) -> Way:
    """What kind of source `--stream` names."""
    if where == "-":
        return Way.PIPE
    return Way.CAMERA if is_camera(where) else Way.LIVE_FILE


def _raw(arguments: argparse.Namespace) -> Raw | None:
    """What is said of frames on standard input; None where nothing is."""
    size, rate = arguments.frame_size, arguments.frame_rate
    if size is None and rate is None:
        return None
    if size is None or rate is None:
        raise UserError("--frame-size=WxH and --frame-rate=R: are needed both")
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", size)
    width, height = map(int, found.groups()) if found else (0, 0)
    if not 0 < min(width, height) <= max(width, height) <= MOST_PIXELS:
        raise UserError(f"--frame-size={size}: should be WIDTHxHEIGHT in pixels, such as 1280x720")
    if not 0 < rate <= 1e6:
        raise UserError(f"--frame-rate={rate:g}: should be frames a second, above 0")
    return Raw(width, height, rate)
