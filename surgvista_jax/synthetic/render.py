"""The drawing of one frame of an operation.

Tissue layers are laid over each other, seen through a moving, breathing camera, lit from the
endoscope with wet highlights, then instruments, smoke, lens and sensor are added. A frame depends
on the operation and its number alone.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.synthetic.camera import project
from surgvista_jax.synthetic.instruments import draw_instrument
from surgvista_jax.synthetic.motion import smoothstep
from surgvista_jax.synthetic.operation import INSTRUMENTS, VERBS, Operation
from surgvista_jax.synthetic.tissue import Layer, Tissue, paint_tissue

_ENERGY = (INSTRUMENTS.index("hook"), INSTRUMENTS.index("bipolar"))


def render(
    operation: Operation,
    frame_ids: Sequence[int] | np.ndarray,
    size: int | tuple[int, int],
) -> np.ndarray:
    """The frames `frame_ids` [T] as uint8 [T, H, W, 3] RGB.

    Args:
        size: side of square frames, or (height, width), in pixels; at least 32.

    Raises:
        UserError: too small a size. IndexError: a frame that the operation does not have.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 32:
        raise UserError(f"size {size}: should be 32 pixels or more")
    tissue = paint_tissue(operation.seed, operation.anatomy, height, width)
    frames = np.empty((len(frame_ids), height, width, 3), np.uint8)
    for i, frame in enumerate(frame_ids):
        frames[i] = _frame(operation, int(frame), tissue, height, width)
    return frames


def _frame(operation: Operation, frame: int, tissue: Tissue, height: int, width: int) -> np.ndarray:
    if not 0 <= frame < operation.num_frames:
        raise IndexError(f"frame {frame}: the operation has {operation.num_frames}")
    scene = operation.scene[frame]
    seconds = frame / operation.fps
    if scene["outside"]:
        return _outside(tissue, frame, height, width)
    sight = _sight(scene, seconds, tissue, height, width)
    view = cv2.remap(
        _lay(tissue, scene, seconds), *sight, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    radius2, offset = _from_light(scene["light"], height, width)
    picture = _light_tissue(view, offset)
    picture = _draw_tools(operation.tools[frame], scene, picture, tissue.metal, seconds)
    return _lens(picture, scene, tissue, radius2, frame, operation.seed)


def _blend(canvas: np.ndarray, layer: Layer, opacity: np.ndarray) -> None:
    patch = canvas[layer.window]
    patch += opacity[..., None] * (layer.paint - patch)


def _lay(tissue: Tissue, scene: np.void, seconds: float) -> np.ndarray:
    canvas = tissue.ground.copy()
    if scene["raw"] > 0:
        _blend(canvas, tissue.bed, tissue.bed.opacity * min(1.0, 2.0 * float(scene["raw"])))
    for layer, cut, clips, point, direction in zip(
        tissue.tubes, scene["cut"], scene["clips"], *tissue.tubes_middle, strict=True
    ):
        _tube(canvas, tissue, layer, cut, int(clips), point, direction)
    for layer, cleared in zip(tissue.covers, scene["reveal"], strict=True):
        if cleared < 1 and scene["raw"] < 0.5:
            left = smoothstep((layer.grain - 1.25 * cleared) / 0.15 + 1.0)
            _blend(canvas, layer, layer.opacity * left)
    if scene["blood"] > 0.02:
        wet = smoothstep((tissue.blood.grain - 1 + 0.55 * scene["blood"]) / 0.08)
        _blend(canvas, tissue.blood, 0.85 * tissue.blood.opacity * wet)
    if scene["pool"] > 0.02:
        level = 1.0 - scene["pool"] + 0.01 * np.sin(5 * seconds)
        _blend(canvas, tissue.pool, 0.8 * smoothstep((tissue.pool.grain - level) / 0.05 + 0.5))
    _move_layer(canvas, tissue, tissue.organ, scene["organ"])
    x, y, there = scene["bag"]
    if there > 0:
        home = tissue.bag_home
        pose = np.array((x - home[0], y - home[1], 0.0, 0.4 + 0.6 * there))
        _move_layer(canvas, tissue, tissue.bag, pose, float(there))
    return canvas


def _tube(
    canvas: np.ndarray,
    tissue: Tissue,
    layer: Layer,
    cut: float,
    clips: int,
    point: np.ndarray,
    direction: np.ndarray,
) -> None:
    opacity = layer.opacity
    direction = direction / np.linalg.norm(direction)
    centre = point * tissue.scale + tissue.origin
    if cut:
        rows, cols = np.ogrid[layer.window]
        away = (cols - centre[0]) * direction[0] + (rows - centre[1]) * direction[1]
        opacity = opacity * smoothstep(np.abs(away) / (0.045 * tissue.scale) - 0.4)
    _blend(canvas, layer, opacity)
    side = np.array((-direction[1], direction[0])) * 0.032 * tissue.scale
    for place in (-0.05, 0.05, -0.075)[:clips]:
        middle = centre + direction * place * tissue.scale
        ends = np.rint(np.stack([middle - side, middle + side]) * 16).astype(int)
        thick = max(1, round(0.016 * tissue.scale))
        cv2.line(canvas, ends[0], ends[1], (228, 222, 196, 12), thick, cv2.LINE_8, 4)


def _move_layer(
    canvas: np.ndarray, tissue: Tissue, layer: Layer, pose: np.ndarray, strength: float = 1.0
) -> None:
    """Lays a layer moved by pose[:2], turned by pose[2] and scaled by pose[3] about its middle."""
    dx, dy, turn, zoom = (float(value) for value in pose)
    height, width = layer.opacity.shape
    if not (dx or dy or turn or zoom != 1):
        _blend(canvas, layer, layer.opacity * strength)
        return
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    reach = int(np.ceil(0.5 * (abs(cos) + abs(sin)) * max(height, width))) + 2
    middle = np.array((layer.left + width / 2, layer.top + height / 2))
    centre = middle + np.array((dx, dy)) * tissue.scale
    left, top = np.floor(centre).astype(int) - reach
    right, bottom = min(left + 2 * reach, canvas.shape[1]), min(top + 2 * reach, canvas.shape[0])
    left, top = max(left, 0), max(top, 0)
    if right <= left or bottom <= top:
        return
    shift = centre - (left, top) - np.array([[cos, -sin], [sin, cos]]) @ (width / 2, height / 2)
    matrix = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])
    shape = (right - left, bottom - top)
    paint = cv2.warpAffine(layer.paint, matrix, shape, borderMode=cv2.BORDER_REPLICATE)
    opacity = cv2.warpAffine(layer.opacity, matrix, shape) * strength
    patch = canvas[top:bottom, left:right]
    patch += opacity[..., None] * (paint - patch)


def _sight(
    scene: np.void, seconds: float, tissue: Tissue, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The canvas pixel (x [H, W], y [H, W]) that each pixel of the picture shows."""
    x, y, zoom, roll = (float(value) for value in scene["camera"])
    cos, sin = (np.float32(f(roll) / (zoom * tissue.scale)) for f in (np.cos, np.sin))
    column = np.arange(width, dtype=np.float32)[None] - np.float32(0.5 * width)
    row = np.arange(height, dtype=np.float32)[:, None] - np.float32(0.5 * height)
    px = cos * column + sin * row + np.float32(x)
    py = cos * row - sin * column + np.float32(y)
    held_x, held_y, pull_x, pull_y = (float(value) for value in scene["pull"])
    if pull_x or pull_y:
        away = (px - (held_x + pull_x)) ** 2 + (py - (held_y + pull_y)) ** 2
        grip = np.exp(away * np.float32(-1 / 0.03))
        px -= np.float32(pull_x) * grip
        py -= np.float32(pull_y) * grip
    breath = np.float32(0.007 * np.sin(2 * np.pi * 0.25 * seconds))
    py += breath * (np.float32(1.2) - py)
    px += np.float32(0.4) * breath * np.sin(np.float32(5) * py)
    return px * tissue.scale + tissue.origin[0], py * tissue.scale + tissue.origin[1]


def _from_light(
    light: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Squared distance from the light [H, W], and its parts x [1, W] and y [H, 1], in units."""
    unit = min(height, width)
    x = (np.arange(width, dtype=np.float32)[None] - 0.5 * width) / unit + 0.5 - light[0]
    y = (np.arange(height, dtype=np.float32)[:, None] - 0.5 * height) / unit + 0.5 - light[1]
    return x * x + y * y, (x, y)


def _light_tissue(view: np.ndarray, offset: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Shading by the slope of the height map, and highlights where the slope faces the light."""
    unit = np.float32(min(view.shape[:2]))
    tall = cv2.GaussianBlur(view[..., 3] * (unit / 100), (0, 0), float(0.006 * unit))
    slope_x = cv2.Sobel(tall, -1, 1, 0, scale=0.125)
    slope_y = cv2.Sobel(tall, -1, 0, 1, scale=0.125)
    facing = 1 - 0.5 * (slope_x * offset[0] + slope_y * offset[1] + 0.35 * slope_y)
    miss_x = slope_x + np.float32(0.9) * offset[0] + np.float32(0.1)
    miss_y = slope_y + np.float32(0.9) * offset[1] + np.float32(0.25)
    glint = np.exp((miss_x * miss_x + miss_y * miss_y) * np.float32(-60))
    picture = view[..., :3] * np.clip(facing, 0.45, 1.5)[..., None]
    picture += (150 * glint)[..., None]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _draw_tools(
    tools: np.ndarray, scene: np.void, picture: np.ndarray, metal: float, seconds: float
) -> np.ndarray:
    present = [tool for tool in tools if tool["kind"] >= 0]
    if not present:
        return picture
    height, width = picture.shape[:2]
    silhouette = np.zeros((height, width), np.uint8)
    zoom = float(scene["camera"][2]) * min(height, width)
    for tool in present:
        tip, port = project(scene, (tool["tip"], tool["port"]), height, width)
        _effect(picture, tool, tip, port, zoom, seconds)
        draw_instrument(
            picture, silhouette, tool["kind"], tip, port, float(tool["opening"]), zoom, metal
        )
    move = np.array([[1, 0, 0.03 * zoom], [0, 1, 0.05 * zoom]], np.float32)
    shade = cv2.warpAffine(silhouette, move, (width, height))
    shade = cv2.GaussianBlur(shade, (0, 0), 0.02 * zoom).astype(np.float32) * (0.5 / 255)
    shade *= 1 - silhouette.astype(np.float32) / 255
    return (picture * (1 - shade)[..., None]).astype(np.uint8)


def _effect(
    picture: np.ndarray,
    tool: np.void,
    tip: np.ndarray,
    port: np.ndarray,
    zoom: float,
    seconds: float,
) -> None:
    """What the tip gives off: a jet of water, or the white spot of a coagulating electrode."""
    axis = (tip - port) / np.linalg.norm(tip - port)
    verb = tool["verb"]
    if verb == VERBS.index("irrigate"):
        side = np.array((-axis[1], axis[0]))
        for drop in range(7):
            far = (0.02 + 0.13 * ((drop / 7 + 2.3 * seconds) % 1)) * zoom
            place = tip + axis * far + side * 0.12 * far * np.sin(5 * drop + 9 * seconds)
            centre = np.rint(place * 16).astype(int)
            radius = max(12, int(0.012 * zoom * 16))
            cv2.circle(picture, centre, radius, (206, 222, 232), -1, cv2.LINE_AA, 4)
    elif verb == VERBS.index("coagulate") and tool["contact"] and tool["kind"] in _ENERGY:
        centre = np.rint(tip * 16).astype(int)
        glow = 0.7 + 0.3 * np.sin(23 * seconds)
        for size, colour in ((0.05, (198, 170, 140)), (0.03, (250, 240, 214))):
            cv2.circle(picture, centre, int(size * glow * zoom * 16), colour, -1, cv2.LINE_AA, 4)


def _lens(
    picture: np.ndarray, scene: np.void, tissue: Tissue, radius2: np.ndarray, frame: int, seed: int
) -> np.ndarray:
    """Light falling off, smoke, fog, the round aperture and the sensor's noise."""
    height, width = radius2.shape
    unit = min(height, width)
    picture = picture.astype(np.float32)
    picture *= (np.float32(0.30) + np.exp(radius2 * np.float32(-3.2)))[..., None]
    if scene["smoke"] > 0.01:
        top, left = (7 * frame) % height, (3 * frame) % width
        cloud = tissue.cloud[top : top + height, left : left + width]
        veil = min(1.0, float(scene["smoke"])) * (np.float32(0.12) + np.float32(0.75) * cloud)
        picture += veil[..., None] * (np.float32(188) - picture)
    if scene["haze"] > 0.01:
        sigma = 0.02 * unit * float(scene["haze"])
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.1)), np.float32)
        picture += np.float32(0.25 * scene["haze"]) * (np.float32(170) - picture)
    y = (np.arange(height, dtype=np.float32)[:, None] - 0.5 * height) / unit
    x = (np.arange(width, dtype=np.float32)[None] - 0.5 * width) / unit
    aperture = np.clip((np.float32(0.555) - np.sqrt(x * x + y * y)) * (unit / 2), 0, 1)
    picture *= aperture[..., None]
    picture += _noise(seed, frame, height, width)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _noise(seed: int, frame: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 4, frame])
    return rng.standard_normal((height, width, 1), np.float32) * np.float32(2.2)


def _outside(tissue: Tissue, frame: int, height: int, width: int) -> np.ndarray:
    """Out of the body: a bright, unfocused drape that slides by behind the trocar's rim."""
    shift = (37 * frame) % width
    picture = np.roll(tissue.outside, shift, 1)
    picture = picture + _noise(0, frame, height, width)
    return np.clip(picture, 0, 255).astype(np.uint8)
