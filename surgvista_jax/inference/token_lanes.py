"""What a model's tokens say over a whole video: lanes of small maps for its page."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from surgvista_jax.figures.token_maps import attention_map, components
from surgvista_jax.figures.token_sheet import BRIGHTEST, heated
from surgvista_jax.image_files import jpeg, png
from surgvista_jax.inference.model import Model
from surgvista_jax.viewer.lanes import Pictures

MOST = 150  # maps of a video; of one that has more, every second, fourth, ...
_SIDE, _QUALITY = 72, 60  # pixels, and of JPEG
_AT_ONCE = 8  # clips


def token_lanes(model: Model, clips: Iterable[np.ndarray], every: float) -> tuple[Pictures, ...]:
    """Attention and the three main components of the newest tokens, every so many seconds.

    The components are those of all maps together, so that a colour means the same at any time.

    Args:
        clips: uint8 [T, H, W, 3] of each frame at `model.fps`, which it ends.
        every: seconds.

    Returns:
        Lanes of pictures, of attention only where the model has any; () where there is no clip.
    """
    kept = _maps_over_time(model, clips, every)
    if not kept:
        return ()
    seconds = np.array([second for second, _, _ in kept])
    _, h, w = model.grid
    colours = components(np.concatenate([tokens for _, tokens, _ in kept]), (len(kept), h, w))
    lanes = []
    pictures = [picture for _, _, picture in kept if picture is not None]
    if pictures:
        note = (
            f"dark: none, yellow: {BRIGHTEST:g} times an even share or more; where the model looks,"
            " not why it decides"
        )
        jpegs = tuple(jpeg(picture, _QUALITY) for picture in pictures)
        lanes.append(Pictures("Attention", seconds, jpegs, note))
    note = "three main components of the tokens as red, green, blue: alike in colour, alike to it"
    pngs = tuple(png((255 * colour).astype(np.uint8)) for colour in colours)
    lanes.append(Pictures("Components of the tokens", seconds, pngs, note))
    return tuple(lanes)


_Map = tuple[float, np.ndarray, np.ndarray | None]  # second, tokens [h*w, D], attention's picture


def _maps_over_time(model: Model, clips: Iterable[np.ndarray], every: float) -> list[_Map]:
    assert model.fps is not None  # `Model.clips` asks for it
    kept: list[_Map] = []
    waiting: list[tuple[float, np.ndarray]] = []
    due = 0.0
    for last, clip in enumerate(clips):
        second = last / model.fps
        if second < due - 1e-6:
            continue
        waiting.append((second, clip))
        due = second + every
        if len(waiting) == _AT_ONCE:
            kept += _maps(model, waiting)
            waiting = []
            if len(kept) > MOST:
                kept, every = kept[::2], 2 * every
                due = kept[-1][0] + every
    kept += _maps(model, waiting)
    return kept if len(kept) <= MOST else kept[::2]


def _maps(model: Model, clips: Sequence[tuple[float, np.ndarray]]) -> Iterator[_Map]:
    if not clips:
        return
    _, h, w = model.grid
    video = np.stack([clip for _, clip in clips])
    tokens = model.tokens(video)[:, model.class_tokens :][:, -h * w :]
    looks = model.backbone.model.encoder is not None
    shares = model.attention(video) if looks else [None] * len(clips)
    for (second, clip), own, share in zip(clips, tokens, shares, strict=True):
        picture = None if share is None else heated(clip[-1], attention_map(share)[-1], _SIDE)
        yield second, own, picture
