"""Which videos does PyAV decode here, and does OpenCV read a JPEG? Printed as JSON.

A program of its own: what crashes here is told by the process that started it.
"""

import json
from typing import Any

# The decoders of each kind of video, in the order in which they are preferred. FFmpeg's own
# decoder of AV1 is none: it leaves the work to a GPU.
_DECODERS = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "av1": ("libdav1d", "libaom-av1"),
    "vp9": ("vp9", "libvpx-vp9"),
    "mpeg2": ("mpeg2video",),
    "mjpeg": ("mjpeg",),
}


def main() -> None:
    """Prints one line: the fields of `facts.Decoders`."""
    print(json.dumps({**_videos(), **_pictures()}))


def _videos() -> dict[str, Any]:
    try:
        import av
    except Exception as error:  # of the linker too
        return {"videos_trouble": _words(error)}
    return {
        "ffmpeg": getattr(av, "ffmpeg_version_info", ""),
        "libraries": {k: ".".join(map(str, v)) for k, v in av.library_versions.items()},
        "codecs": {
            kind: next((name for name in names if _opens(name)), None)
            for kind, names in _DECODERS.items()
        },
    }


def _opens(name: str) -> bool:
    from av.codec import Codec

    try:
        return not Codec(name, "r").is_encoder
    except Exception:  # its class moved between versions of PyAV
        return False


def _pictures() -> dict[str, Any]:
    try:
        import cv2
        import numpy as np

        picture = np.full((16, 16, 3), 128, np.uint8)
        written, file = cv2.imencode(".jpg", picture)
        read = cv2.imdecode(file, cv2.IMREAD_COLOR) if written else None
        if read is None or read.shape != picture.shape:
            return {"opencv": cv2.__version__, "jpeg": False}
        # Compression leaves it within that.
        right = int(np.abs(read.astype(int) - picture).max()) <= 8
        return {"opencv": cv2.__version__, "jpeg": right}
    except Exception as error:  # of the linker too
        return {"pictures_trouble": _words(error)}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


if __name__ == "__main__":
    main()
