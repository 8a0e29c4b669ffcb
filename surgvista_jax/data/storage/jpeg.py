"""Is a JPEG whole, and of a size to be decoded? Its data may end long before its end marker."""

import threading

import av
from av.error import FFmpegError

MOST_PIXELS = 2**27  # of a picture that is decoded
_START = b"\xff\xd8"
_LOCAL = threading.local()
av.logging.set_level(None)  # faults are named once, by us


def is_cut_short(data: bytes) -> bool:
    """Whether a JPEG's data ends before its last pixel: the rest of it is then decoded as grey.

    OpenCV's decoder fills in what is missing and says nothing. FFmpeg's finds it, at about the cost
    of decoding once more, so this is for checking and for converting, not for training. Of a cut in
    the last block of 16 x 16 pixels it may know nothing. What FFmpeg does not read at all, such as
    a JPEG of CMYK, is not judged.
    """
    if not data.startswith(_START) or _decodes(data, "explode"):
        return False
    return _decodes(data, "ignore_err")


def jpeg_pixels(data: bytes) -> int:
    """The pixels of a JPEG by its header; 0 where it has none, or is none."""
    place = len(_START)
    while data.startswith(_START) and place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of a frame
            height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
            return int.from_bytes(height, "big") * int.from_bytes(width, "big")
        place += 1 if marker == 0xFF else 2 + length
    return 0


def _decodes(data: bytes, recognition: str) -> bool:
    decoders = _LOCAL.__dict__.setdefault("decoders", {})
    if recognition not in decoders:
        context = av.CodecContext.create("mjpeg", "r")
        context.options = {"err_detect": recognition}
        context.thread_count = 1
        decoders[recognition] = context
    try:
        return bool(decoders[recognition].decode(av.Packet(data)))
    except (FFmpegError, ValueError):
        del decoders[recognition]
        return False
