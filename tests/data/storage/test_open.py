"""Does a clip come out of the frame folder as asked, also where frames are damaged?"""

import pickle

import cv2
import numpy as np
import pytest

from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.decode import BLACK_SHAPE, read_bytes
from surgvista_jax.data.storage.open import FrameFolder, open_frames, read_image
from tests.support import footage


@pytest.fixture
def folder(tmp_path) -> FrameFolder:
    """Ten frames of 48x32 in a folder with a space and non-ASCII letters."""
    path = tmp_path / "frames" / "löwe 1 手术"
    footage.write_images(path, [(48, 32)] * 10, ".jpg", "{:06d}")
    return FrameFolder(path, 10)


def spoil(folder: FrameFolder, frame_id: int, how: str) -> None:
    path = folder.folder / f"{frame_id:06d}.jpg"
    if how == "missing":
        path.unlink()
    elif how == "cut short":
        footage.cut(path, 0.7)
    elif how == "another size":
        path.write_bytes(cv2.imencode(".jpg", footage.picture(0, 40, 32))[1].tobytes())
    else:
        path.write_bytes({"empty": b"", "text": b"no image, but text"}[how])


def test_frames_come_in_the_asked_order_as_rgb(folder):
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 0] = 200  # blue in OpenCV's order
    cv2.imencode(".jpg", image)[1].tofile(folder.folder / "000009.jpg")
    frames, unreadable = folder.read(np.array([0, 0, 3, 7, 9]))
    assert frames.shape == (5, 32, 48, 3) and frames.dtype == np.uint8
    assert footage.numbers(frames[:4]) == [0, 0, 3, 7]
    assert np.allclose(frames[4].mean((0, 1)), [0, 0, 200], atol=3)
    assert unreadable.dtype == bool and not unreadable.any()


def test_each_distinct_frame_is_decoded_once(folder, monkeypatch):
    paths = []

    def counted(path):
        paths.append(path)
        return read_bytes(path)

    monkeypatch.setattr("surgvista_jax.data.storage.open.read_bytes", counted)
    spoil(folder, 2, "missing")
    frames, unreadable = folder.read(np.array([2, 2, 2, 6, 6]))
    assert [path.name for path in paths] == ["000002.jpg", "000006.jpg"]
    assert footage.numbers(frames) == [6] * 5
    assert unreadable.tolist() == [True] * 3 + [False] * 2


@pytest.mark.parametrize("how", ["missing", "empty", "text", "cut short", "another size"])
def test_a_damaged_frame_is_replaced_by_the_nearest_earlier_of_the_clip(folder, how):
    spoil(folder, 4, how)
    frames, unreadable = folder.read(np.array([0, 2, 4, 6]))
    assert footage.numbers(frames) == [0, 2, 2, 6]
    assert unreadable.tolist() == [False, False, True, False]
    again, _ = folder.read(np.array([0, 2, 4, 6]))
    assert np.array_equal(frames, again)


def test_without_an_earlier_frame_the_next_one_stands_in(folder):
    for frame_id in (0, 2):
        spoil(folder, frame_id, "cut short")
    frames, unreadable = folder.read(np.array([0, 2, 4, 6]))
    assert footage.numbers(frames) == [4, 4, 4, 6]
    assert unreadable.tolist() == [True, True, False, False]


def test_a_clip_without_any_frame_is_black(folder):
    for frame_id in (0, 1):
        spoil(folder, frame_id, "missing")
    frames, unreadable = folder.read(np.array([0, 0, 1]))
    assert frames.shape == (3, *BLACK_SHAPE) and not frames.any()
    assert unreadable.all()


@pytest.mark.parametrize("frame_ids", [[-1, 0], [0, 10]])
def test_frames_outside_of_the_video_are_refused(folder, frame_ids):
    with pytest.raises(IndexError, match="outside"):
        folder.read(np.array(frame_ids))


def test_a_jpeg_without_its_end_is_never_decoded(folder, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda data, flags: np.zeros((32, 48, 3), np.uint8))
    assert read_image(folder.folder / "000000.jpg") is not None
    spoil(folder, 0, "cut short")
    assert read_image(folder.folder / "000000.jpg") is None


def test_bytes_after_a_whole_jpeg_do_not_harm(folder):
    path = folder.folder / "000000.jpg"
    path.write_bytes(path.read_bytes() + bytes(100))
    assert read_image(path) is not None


def test_a_folder_is_opened_by_its_manifest_entry(folder):
    root = folder.folder.parents[1]
    relative = str(folder.folder.relative_to(root))
    for source in (relative, str(folder.folder)):
        opened = open_frames(root, Video("v", source, 1.0, 10))
        assert pickle.loads(pickle.dumps(opened)) == opened == folder


@pytest.mark.parametrize("spoilt", [(), (4,), (0, 2), (0, 2, 4, 6)])
def test_fitting_while_decoding_is_fitting_afterwards(folder, spoilt):
    for frame_id in spoilt:
        spoil(folder, frame_id, "missing")
    frame_ids = np.array([0, 0, 2, 4, 6])
    frames, unreadable = folder.read(frame_ids)
    out = np.full((5, 16, 12, 3), 7, np.uint8)
    fitted, also_unreadable = folder.read(
        frame_ids, lambda target, image: np.copyto(target, image[8:24, 4:16]), out
    )
    assert fitted is out
    assert np.array_equal(out, frames[:, 8:24, 4:16])
    assert np.array_equal(also_unreadable, unreadable)
