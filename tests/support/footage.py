"""How do tests come by videos, whole and broken?  Small ones, whose frames tell their number."""

import struct
from pathlib import Path

import cv2
import numpy as np

BITS = 8  # a frame tells its number by 8 black or white bars, which survive any compression


def picture(number: int, width: int, height: int) -> np.ndarray:
    """[height, width, 3] uint8 that tells a number below 256."""
    bars = [255 * (number >> bit & 1) for bit in range(BITS)]
    row = np.array(bars, np.uint8)[np.arange(width) * BITS // width]
    return np.tile(row[None, :, None], (height, 1, 3))


def numbers(frames) -> list[int]:
    """The numbers that the frames [T, H, W, 3] tell."""
    told = []
    for frame in frames:
        bars = np.array_split(np.asarray(frame).mean((0, 2)), BITS)
        told.append(sum((bar.mean() > 127) << bit for bit, bar in enumerate(bars)))
    return told


def write_video(path: Path, num_frames: int = 60, fps: float = 25, size=(64, 48)) -> Path:
    """A video whose frames tell their numbers, from 0; MJPG in .avi, else mp4v."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, size)
    assert writer.isOpened()
    for index in range(num_frames):
        writer.write(picture(index, *size))
    writer.release()
    return path


def write_images(folder: Path, sizes, suffix: str = ".png", name: str = "frame_{}") -> Path:
    """A folder of images, each (width, height), which tell their numbers, from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, (width, height) in enumerate(sizes):
        encoded = cv2.imencode(suffix, picture(index, width, height))[1]
        (folder / (name.format(index) + suffix)).write_bytes(encoded.tobytes())
    return folder


def cut(path: Path, share: float = 0.5) -> Path:
    """Leaves only the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def set_avi_length(path: Path, num_frames: int) -> Path:
    """Lets the header of an AVI promise another number of frames."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, num_frames)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, num_frames)
    path.write_bytes(data)
    return path


def set_avi_rate(path: Path, rate: int, scale: int) -> Path:
    """Lets the header of an AVI tell rate / scale frames a second."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, data.index(b"strh") + 8 + 20, scale, rate)
    path.write_bytes(data)
    return path


def index_first(path: Path) -> Path:
    """Moves the index of an MP4 before its frames, as for streaming: it can then be cut short."""
    data = path.read_bytes()
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        boxes.append((kind, data[at : at + size]))
        at += size
    index = bytearray(next(box for kind, box in boxes if kind == b"moov"))
    table = index.index(b"stco") + 8  # chunk offsets from the start of the file
    (count,) = struct.unpack_from(">I", index, table)
    for entry in range(count):
        place = table + 4 + 4 * entry
        struct.pack_into(">I", index, place, struct.unpack_from(">I", index, place)[0] + len(index))
    others = [box for kind, box in boxes if kind != b"moov"]
    path.write_bytes(others[0] + bytes(index) + b"".join(others[1:]))
    return path
