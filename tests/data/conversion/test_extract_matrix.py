"""Is every kept frame the right one, by its own number, whatever the container, codec and clock?"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.data.conversion.extract import ExtractConfig, extract
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.storage.open import read_image
from surgvista_jax.data.storage.video_file import VideoFile
from tests.support import marked_videos as marked
from tests.support.marked_videos import Pictures

COUNT = 60
KEPT = Fraction(5)  # frames a second
RATES = {".mov": Fraction(30000, 1001), ".ts": Fraction(50)}  # elsewhere 25
CODECS = {
    ".mp4": ["libx264", "libx265", "mpeg4", "libvpx-vp9", "libsvtav1"],
    ".mkv": ["libx264", "mpeg2video", "libvpx-vp9", "libsvtav1", "ffv1"],
    ".mov": ["libx264", "libx265", "mpeg4", "prores", "mjpeg"],
    ".ts": ["libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video"],
    ".avi": ["libx264", "mpeg4", "mpeg2video", "mjpeg", "ffv1"],
}
FURTHER = {
    ".mpg": ["mpeg1video", "mpeg2video"],
    ".webm": ["libvpx", "libvpx-vp9"],
    ".wmv": ["wmv2"],
    ".flv": ["flv"],
}
WITH_FIELDS = ("libx264", "mpeg2video", "mpeg4", "prores")


def shapes(suffix: str, codec: str, place: int) -> list[str]:
    """Two of the clocks and kinds of pictures that a container and a codec can hold."""
    clocks = ["hole", "slowed"] if suffix == ".avi" else ["hole", "late", "slowed"]
    first = [("top", "bottom")[place % 2]] if codec in WITH_FIELDS else [clocks.pop(0)]
    return [*first, clocks[place % len(clocks)]]


FILES = [
    (suffix, codec, shape)
    for suffix, codecs in (CODECS | FURTHER).items()
    for place, codec in enumerate(codecs)
    for shape in shapes(suffix, codec, place)
]
FILES += [(".mpg", "libx264", "late")]  # a few of its pictures have no time stamp


def pictures(suffix: str, codec: str, shape: str) -> Pictures:
    fps = RATES.get(suffix, Fraction(25))
    clock = {
        "hole": {"times": marked.with_hole(COUNT, fps, 26, 35 / fps)},
        "slowed": {"times": marked.slowed(COUNT, fps, 26, 3)},
        "late": {"start": 30 / fps},
    }
    fields = shape if shape in ("top", "bottom") else ""
    grain = 60 if suffix == ".mpg" else 0
    return Pictures(codec, COUNT, fps, fields=fields, grain=grain, **clock.get(shape, {}))


def test_there_are_fifty_files_of_five_containers_and_five_codecs_each():
    assert sum(suffix in CODECS for suffix, _, _ in FILES) == 50
    for kinds in [{"top", "bottom"}, {"hole", "slowed"}, {"late"}]:
        assert sum(shape in kinds for _, _, shape in FILES) >= 10


@pytest.mark.parametrize(("suffix", "codec", "shape"), FILES)
def test_every_frame_tells_the_number_of_its_second(tmp_path, suffix, codec, shape):
    recorded = pictures(suffix, codec, shape)
    sound = (Fraction(0), Fraction(3)) if shape == "late" else None
    path = marked.write(tmp_path / f"v{suffix}", recorded, sound=sound)
    wanted = marked.expected(recorded.shown, KEPT)
    images = extracted(path)
    assert [marked.number(image) for image in images] == wanted
    assert not any(marked.is_combed(image) for image in images)
    order = np.random.default_rng(0).permutation(len(wanted)).tolist()
    jumped = VideoFile(path, len(wanted), float(KEPT)).images(order)
    assert [marked.number(image) for image in jumped] == [wanted[frame] for frame in order]


def extracted(path: Path) -> list[np.ndarray]:
    out = path.parent / "frames"
    out.mkdir()
    kept = extract(SourceVideo("v", "v", path, False, 0), out, ExtractConfig(fps=float(KEPT)))
    return [read_image(out / f"{index:06d}.jpg") for index in range(kept.num_frames)]
