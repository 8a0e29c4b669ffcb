"""How do users say where the frames of a live prediction come from, and how is it run?"""

import argparse
import re
import sys

from surgvista_jax.checks import MOST_PIXELS
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference.idle_options import Way, refuse_idle
from surgvista_jax.inference.live import predict_live
from surgvista_jax.inference.live_sources import Raw, is_camera, open_source
from surgvista_jax.inference.smoothing_option import smoothing_of
from surgvista_jax.inference.streaming import StreamingPredictor
from surgvista_jax.inference.weights_option import loaded

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
        BrokenPipeError: nobody reads the lines any more.
    """
    where = arguments.stream
    if where is None:
        raise UserError("say what to look at: VIDEO …, or --stream=SOURCE to predict live")
    if arguments.out is not None:
        raise UserError("--out: is of VIDEO files; live predictions go to standard output")
    refuse_idle(arguments, _way_of(where))
    raw = _raw(arguments)
    trained = loaded(arguments)
    smoothing = smoothing_of(arguments, trained.meaning, trained.transitions)
    keys = {key: getattr(arguments, key) for key in ("clock", "deinterlace")}
    options = VideoOptions(**{key: value for key, value in keys.items() if value is not None})
    source = open_source(where, trained.meaning.fps, options, raw)
    predictor = StreamingPredictor(trained, smoothing)
    print(f"{arguments.checkpoint}: {trained.meaning}", file=sys.stderr)
    outcome = predict_live(predictor, source, lambda line: print(line, flush=True))
    name = "standard input" if where == "-" else where
    print(f"surgvista: {name}: {outcome}", file=sys.stderr)
    return outcome.status


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
