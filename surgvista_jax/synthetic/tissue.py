"""The inside of one operation's abdomen, before light, camera and instruments.

Layers of colour and height (RGB 0 to 255; height in hundredths of the frame's shorter side) on a
canvas larger than the picture, painted once an operation and size. Colours follow laparoscopy:
maroon liver, yellow fat, a pale gallbladder, a whitish duct and a red artery under fat.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from surgvista_jax.synthetic.canvas import Canvas, curve, fractal, ramp
from surgvista_jax.synthetic.motion import smoothstep
from surgvista_jax.synthetic.operation import Anatomy


@dataclass(frozen=True, eq=False)
class Layer:
    """A patch of the canvas: paint float32 [h, w, 4] (RGB, height), opacity float32 [h, w]."""

    top: int
    left: int
    paint: np.ndarray
    opacity: np.ndarray
    grain: np.ndarray  # [h, w] in [0, 1]: in which order the patch comes or goes

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.opacity.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclass(frozen=True, eq=False)
class Tissue:
    """Everything that is painted once; all layers lie on the canvas of `ground`."""

    scale: float  # pixels a unit
    origin: tuple[float, float]  # canvas pixel (x, y) of the scene's point (0, 0)
    ground: np.ndarray  # float32 [h, w, 4]
    bed: Layer  # raw liver bed under the gallbladder
    tubes: tuple[Layer, Layer]  # duct, artery
    covers: tuple[Layer, Layer, Layer]  # what hides each criterion of the critical view
    organ: Layer  # gallbladder
    bag: Layer
    bag_home: tuple[float, float]  # where the bag was painted, in scene units
    blood: Layer
    pool: Layer
    tubes_middle: tuple[np.ndarray, np.ndarray]  # points [2] and directions [2] for clips and cuts
    cloud: np.ndarray  # float32 [2h, 2w] in [0, 1], wraps around
    outside: np.ndarray  # float32 [h, w, 3]
    metal: float  # brightness of the instruments


def _layer(colour: np.ndarray, height: np.ndarray, opacity: np.ndarray, grain: np.ndarray) -> Layer:
    rows = np.flatnonzero(opacity.max(1) > 0.01)
    cols = np.flatnonzero(opacity.max(0) > 0.01)
    window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    paint = np.dstack([colour, height]).astype(np.float32)
    opacity, grain = opacity.astype(np.float32), grain.astype(np.float32)
    return Layer(rows[0], cols[0], paint[window], opacity[window], grain[window])


@lru_cache(maxsize=4)
def paint_tissue(seed: int, anatomy: Anatomy, height: int, width: int) -> Tissue:
    """The layers for pictures of height x width pixels; another size has the same shapes."""
    rng = np.random.default_rng([seed, 3])
    canvas = Canvas(height, width)
    unit, shape = canvas.scale, canvas.shape
    fundus, neck = np.array(anatomy.fundus), np.array(anatomy.neck)
    tint = rng.uniform(0.88, 1.12, (3, 3)).astype(np.float32)
    duct = curve(neck - (0.0, 0.02), neck + (-0.04, 0.14), anatomy.duct_end)
    side = neck + 0.28 * (fundus - neck) + (0.05, 0.0)
    artery = curve(side, neck + (0.14, 0.06), anatomy.artery_start)

    fine = fractal(rng, shape, 0.05 * unit, 3)
    coarse = fractal(rng, shape, 0.35 * unit, 4)
    lobes = fractal(rng, shape, 0.12 * unit, 3)
    veins = smoothstep(1 - np.abs(fractal(rng, shape, 0.22 * unit, 3) - 0.5) * 14)
    fat_colour = (
        ramp(0.6 * lobes + 0.4 * fine, (138, 72, 34), (205, 146, 78), (236, 190, 118)) * tint[0]
    )
    fat_colour *= 1 - 0.28 * veins[..., None] * np.array((0.1, 0.9, 0.8), np.float32)
    fat_height = 5.5 * np.sqrt(lobes) + 0.5 * fine

    ground, ground_height = _ground(
        canvas, anatomy, coarse, fine, tint, fat_colour, fat_height, rng
    )
    grain = 0.65 * lobes + 0.35 * fine

    along, across, radius = _organ_frame(canvas, fundus, neck, anatomy.width)
    dome = np.sqrt(np.clip(1 - (across / radius) ** 2, 0, 1))
    organ_shape = smoothstep((radius - across) * unit / 2.0 + 0.5)
    organ_colour = ramp(
        np.clip(0.55 * coarse + 0.3 * fine + 0.2 * along, 0, 1),
        (158, 112, 86),
        (202, 164, 128),
        (226, 202, 166),
    )
    inflamed = rng.uniform(0, 0.45) * coarse[..., None]
    organ_colour += inflamed * (np.array((168, 62, 58), np.float32) - organ_colour)
    organ_colour = organ_colour * tint[2] * (1 - 0.3 * veins[..., None] * (0.2, 0.9, 0.9))
    organ_colour *= (0.62 + 0.38 * dome)[..., None]
    organ_height = 9 + 8 * radius / 0.12 * dome + 0.3 * fine
    organ = _layer(organ_colour, organ_height, organ_shape, grain)

    raw = ramp(0.5 * fine + 0.5 * lobes, (58, 14, 12), (128, 42, 34), (176, 98, 74))
    bed_shape = smoothstep((radius * 1.05 - across) * unit / 4.0 + 0.5) * (0.55 + 0.45 * grain)
    bed = _layer(raw, ground_height - 1.5 + 0.9 * fine, bed_shape, grain)

    to_duct, to_artery = canvas.distance(duct), canvas.distance(artery)
    tubes = (
        _tube(canvas, to_duct, 0.024, ramp(fine, (186, 150, 104), (228, 204, 158)), grain),
        _tube(canvas, to_artery, 0.016, ramp(fine, (164, 46, 40), (208, 92, 78)), grain),
    )
    triangle = np.concatenate([duct, artery[::-1]])
    plate_axis = neck + (fundus - neck) * np.array((0.12, 0.55))[:, None] + (0.085, 0.01)
    plate = smoothstep(1 - canvas.distance(plate_axis) / 0.075)
    near_tubes = np.minimum(to_duct, to_artery)
    _paint_window(ground, ground_height, canvas.inside(triangle, 0.012), coarse, fine)
    _paint_plate(ground, ground_height, np.minimum(1, 1.7 * plate), fine)
    cover_colour = 0.75 * fat_colour + 0.25 * np.array((216, 128, 112), np.float32) * tint[2]
    regions = (
        smoothstep(1.5 - near_tubes / 0.036),
        smoothstep(canvas.inside(triangle, 0.02) * 2.2 - 0.4) * smoothstep(near_tubes / 0.02),
        np.minimum(1, 2.2 * plate),
    )
    two, triangle_cover, plate_cover = (
        _layer(cover_colour, fat_height + 4, region, grain) for region in regions
    )

    bag = _bag(canvas, anatomy, fine, coarse, grain)
    drops = fractal(rng, shape, 0.16 * unit, 4)
    stain = ramp(fine, (96, 4, 6), (150, 14, 14))
    near_work = np.exp(-((canvas.x - neck[0] - 0.04) ** 2 + (canvas.y - neck[1]) ** 2) / 0.06)
    blood = _layer(stain, ground_height + 2, near_work, drops)
    basin = 1 - np.hypot((canvas.x - anatomy.pool[0]) / 0.40, (canvas.y - anatomy.pool[1]) / 0.26)
    liquid = ramp(coarse, (70, 10, 10), (128, 34, 26))
    pool = _layer(
        liquid,
        np.full(shape, 3.0),
        basin > -0.25,
        basin + 0.5 * (lobes - 0.5) * smoothstep(1.2 - basin),
    )

    middles = np.stack([duct[6], artery[7]]), np.stack([duct[7] - duct[5], artery[8] - artery[6]])
    half = fractal(rng, (height, width), 0.3 * unit, 4)
    cloud = np.block([[half, half[:, ::-1]], [half[::-1], half[::-1, ::-1]]])
    drape = ramp(fractal(rng, (height, width), 0.6 * unit, 2), (70, 120, 118), (196, 214, 206))
    return Tissue(
        scale=unit,
        origin=canvas.origin,
        ground=np.dstack([ground, ground_height]).astype(np.float32),
        bed=bed,
        tubes=tubes,
        covers=(two, triangle_cover, plate_cover),
        organ=organ,
        bag=bag,
        bag_home=tuple(anatomy.point("specimen_bag")),
        blood=blood,
        pool=pool,
        tubes_middle=middles,
        cloud=np.ascontiguousarray(cloud),
        outside=drape,
        metal=rng.uniform(0.85, 1.1),
    )


def _ground(
    canvas: Canvas,
    anatomy: Anatomy,
    coarse: np.ndarray,
    fine: np.ndarray,
    tint: np.ndarray,
    fat_colour: np.ndarray,
    fat_height: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Liver, abdominal wall at one upper corner, a pink bowel and fat below: colour and height."""
    liver = ramp(0.6 * coarse + 0.4 * fine, (62, 20, 22), (98, 38, 38), (132, 60, 56)) * tint[1]
    height = 5.5 * coarse + 0.35 * fine
    edge = canvas.x - 0.12 + 0.25 * (canvas.y - 0.3) + 0.05 * (coarse - 0.5)
    height = height + 4 * smoothstep(edge / 0.06)
    liver *= (0.72 + 0.28 * smoothstep(edge / 0.04))[..., None]
    wall = smoothstep((canvas.x - canvas.y * 0.6 - rng.uniform(0.78, 0.98)) / 0.08 + 0.2 * coarse)
    liver += wall[..., None] * (ramp(fine, (132, 60, 50), (188, 110, 92)) * tint[2] - liver)
    centre = rng.uniform(0.0, 0.35)
    bowel = 1 - np.hypot((canvas.x - centre) / 0.36, (canvas.y - anatomy.fat_line - 0.16) / 0.20)
    mask = smoothstep(bowel * 14)[..., None]
    liver += mask * (ramp(coarse, (190, 104, 100), (222, 150, 138)) * tint[2] - liver)
    height = height + mask[..., 0] * 14 * np.sqrt(np.clip(bowel, 0, 1))
    rise = canvas.y - anatomy.fat_line + 0.13 * (coarse - 0.5) + 0.06 * np.sin(9 * canvas.x)
    fat = smoothstep((rise - 0.12 * mask[..., 0]) / 0.03)
    liver += fat[..., None] * (fat_colour - liver)
    liver *= (1 - 0.45 * np.exp(-((rise / 0.03) ** 2)) * (fat < 0.5))[..., None]
    return liver, height + fat * (fat_height + 3 - height * 0.6)


def _organ_frame(
    canvas: Canvas, fundus: np.ndarray, neck: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along the gallbladder (0 fundus, 1 neck), distance from its axis, and its radius there."""
    axis = neck - fundus
    dx, dy = canvas.x - fundus[0], canvas.y - fundus[1]
    along = np.clip((dx * axis[0] + dy * axis[1]) / (axis @ axis), 0, 1)
    bend = 0.02 * np.sin(3.2 * along)
    across = np.hypot(dx - along * axis[0] - bend, dy - along * axis[1])
    radius = width * (0.125 - 0.095 * smoothstep((along - 0.35) / 0.65))
    return along, across, radius


def _tube(
    canvas: Canvas, distance: np.ndarray, radius: float, colour: np.ndarray, grain: np.ndarray
) -> Layer:
    dome = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))
    shape = smoothstep((radius - distance) * canvas.scale / 1.5 + 0.5)
    return _layer(colour * (0.55 + 0.45 * dome)[..., None], 6 + 300 * radius * dome, shape, grain)


def _paint_window(
    ground: np.ndarray, height: np.ndarray, mask: np.ndarray, coarse: np.ndarray, fine: np.ndarray
) -> None:
    """The cleared triangle: a dark gap with the liver behind it and a few fibres across."""
    fibre = smoothstep(1 - np.abs(coarse - 0.5) * 30)[..., None]
    window = ramp(fine, (34, 8, 10), (72, 22, 24)) + fibre * np.array((90, 60, 50), np.float32)
    ground += mask[..., None] * (window - ground)
    height -= 5 * mask


def _paint_plate(
    ground: np.ndarray, height: np.ndarray, mask: np.ndarray, fine: np.ndarray
) -> None:
    """The dissected cystic plate: a pale, bluish-grey sheet on the liver."""
    ground += mask[..., None] * (ramp(fine, (128, 116, 124), (206, 200, 206)) - ground)
    height += 1.0 * mask


def _bag(
    canvas: Canvas, anatomy: Anatomy, fine: np.ndarray, coarse: np.ndarray, grain: np.ndarray
) -> Layer:
    """A translucent specimen bag around the scene's bag point, with folds and a blue rim."""
    x, y = anatomy.point("specimen_bag")
    dx, dy = canvas.x - x, canvas.y - y
    narrow = 1 - 0.9 * np.clip(dy, -0.1, 0.2) - 0.25 * (coarse - 0.5)
    sack = 1 - np.hypot(dx / (0.20 * narrow), np.where(dy > 0, dy / 0.23, dy / 0.14))
    folds = 0.5 + 0.5 * np.sin((40 * dx + 7 * coarse) / narrow + 4 * dy)
    colour = ramp(0.6 * folds + 0.4 * fine, (132, 142, 162), (226, 230, 236))
    rim = smoothstep(1 - np.abs(np.hypot(dx / 0.19, (dy + 0.10) / 0.045) - 1) / 0.22)
    colour += rim[..., None] * (np.array((40, 80, 190), np.float32) - colour)
    shape = np.maximum(smoothstep(sack * 9) * (0.52 + 0.3 * folds), rim)
    return _layer(colour, 8 + 7 * np.sqrt(np.clip(sack, 0, 1)) + 1.8 * folds, shape, grain)
