"""The command `surgvista figure tokens`: where a model looks, and what it tells apart."""

import argparse
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.figures.token_sheet import draw
from surgvista_jax.image_files import png
from surgvista_jax.inference.load import load
from surgvista_jax.inference.model import Model
from surgvista_jax.inference.token_lanes import token_lanes
from surgvista_jax.ownership import Ownership, add_overwrite, in_folder
from surgvista_jax.training.devices import start_devices
from surgvista_jax.viewer.lane_files import SUFFIX, lanes_text
from surgvista_jax.weights.place import SPEC
from surgvista_jax.writing import replacing, write_text

_EVERY = 60.0  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista figure tokens`."""
    parser.add_argument("video", type=Path, metavar="VIDEO", help="a video file")
    parser.add_argument("--checkpoint", required=True, metavar=SPEC, help="a run or its weights")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="FILE.png, a sheet of one clip; or FILE.json, maps over the whole video, which"
        " `surgvista view PREDICTIONS --lanes FILE.json` shows below the phases",
    )
    parser.add_argument(
        "--every", type=float, metavar="S", help=f"of FILE.json: seconds between maps ({_EVERY:g})"
    )
    parser.add_argument(
        "--second", type=float, metavar="S", help="at which the clip ends (the first whole clip's)"
    )
    parser.add_argument(
        "--block", type=int, metavar="K", help="whose attention (what is pooled in the last)"
    )
    add_overwrite(parser)


def main(arguments: argparse.Namespace) -> None:
    """Draws one clip of the video, or maps of many."""
    out: Path = arguments.out
    lanes = out.suffix.lower() == SUFFIX
    if out.suffix.lower() != ".png" and not lanes:
        raise UserError(f"--out={out}: should be a name ending in .png, or for lanes in {SUFFIX}")
    for key in ("second", "block") if lanes else ("every",):
        if getattr(arguments, key) is not None:
            raise UserError(f"--{key}: is not for {out.name}")
    if lanes and arguments.every is not None and not 0.1 <= arguments.every <= 1e5:
        raise UserError(f"--every={arguments.every:g}: should be seconds, from 0.1 to 100,000")
    second = arguments.second
    if second is not None and not 0 <= second < 1e6:
        raise UserError(f"--second={second:g}: should be 0 or more, within the video")
    owned = in_folder(out.parent, arguments.overwrite)
    owned.check([out])
    start_devices()
    model = load(arguments.checkpoint)
    if lanes:
        return _write_lanes(model, arguments, owned)
    clips, span = model.clips(arguments.video), model.clip.stride * (model.clip.num_frames - 1)
    assert model.fps is not None  # `clips` asks for it
    wanted = span if second is None else round(second * model.fps)
    clip, last = None, -1
    for last, clip in zip(range(wanted + 1), clips, strict=False):  # noqa: B007
        pass
    if clip is None or (second is not None and last < wanted):
        raise UserError(
            f"--second={second or 0:g}: {arguments.video} ends at second"
            f" {max(last, 0) / model.fps:g}"
        )
    tokens = model.tokens(clip)[model.class_tokens :]
    vit = model.backbone.model.encoder is not None
    shares = model.attention(clip, block=arguments.block) if vit else None
    rolled = model.rollout(clip) if vit else None
    caption = [
        f"{arguments.video.name}, clip that ends at second {last / model.fps:g}; {model.name}",
        "Colours are those of this clip alone: red in another is not the same thing.",
    ]
    image = draw(clip, tokens, shares, rolled, model.grid, caption)
    with replacing(out, owned) as aside:
        aside.write_bytes(png(image))
    print(f"{out}: the clip that ends at second {last / model.fps:g}")


def _write_lanes(model: Model, arguments: argparse.Namespace, owned: Ownership) -> None:
    video, out = arguments.video, arguments.out
    lanes = token_lanes(model, model.clips(video), arguments.every or _EVERY)
    if not lanes:
        raise UserError(f"{video}: no frame of it can be read")
    write_text(out, lanes_text(video.name, lanes), owned)
    print(
        f"{out}: {counted(len(lanes[-1].seconds), 'map')}; `surgvista view PREDICTIONS --lanes"
        f" {out}`"
    )
