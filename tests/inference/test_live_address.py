"""Frames of an address are those that a player shows, when they come or in real time."""

import functools
import http.server
import threading
from fractions import Fraction

import numpy as np
import pytest

from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference import live_address
from surgvista_jax.inference.live_sources import open_source
from tests.support.marked_videos import Pictures, is_combed, number, rotate, write


@pytest.fixture
def served(tmp_path):
    """The address of a server of a folder; only files at the top have a length.

    Those below /silent/ have no end either.
    """
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            data = (tmp_path / self.path.rpartition("/")[2]).read_bytes()
            self.send_response(200)
            if self.path.count("/") == 1:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            if self.path.startswith("/silent/"):
                done.wait(60)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        done.set()
        server.shutdown()


@pytest.fixture
def waited(monkeypatch):
    """The seconds for which a source would have waited, were the clock to stand still."""
    seconds: list[float] = []
    paced = functools.partial(live_address.in_real_time, wait=seconds.append, now=lambda: 7.0)
    monkeypatch.setattr(live_address, "in_real_time", paced)
    return seconds


def test_what_is_stored_comes_in_real_time_as_a_player_shows_it(tmp_path, served, waited):
    wide = Pictures(count=10, pixel_aspect=Fraction(2), start=Fraction(3))
    path = rotate(write(tmp_path / "v.mp4", wide, options={"movflags": "faststart"}), 90)
    source = open_source(f"{served}/v.mp4", 5.0, VideoOptions(), None)
    times, frames = zip(*source.frames(), strict=True)
    np.testing.assert_allclose(times, np.arange(10) / 25, atol=1e-3)
    np.testing.assert_allclose(waited, times[1:])
    assert source.broke == "" and frames[0].shape == (192, 64, 3)
    expected = FileReader(path, VideoOptions(clock="picture"), threads=1).frames(25.0)
    for frame, image in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame, image[:, :, ::-1])


def test_a_clock_that_is_set_back_goes_on(tmp_path, served, waited):
    part = write(tmp_path / "part.ts", Pictures(count=10))
    (tmp_path / "v.ts").write_bytes(2 * part.read_bytes())
    source = open_source(f"{served}/v.ts", 5.0, VideoOptions(), None)
    times = [second for second, _ in source.frames()]
    assert len(times) == 20 and (np.diff(times) >= 0).all()
    np.testing.assert_allclose(np.diff(times)[10:], 1 / 25, atol=1e-3)


def test_a_playlist_that_goes_on_is_live(tmp_path, served):
    """Its own size says nothing; with an end it is stored."""
    write(tmp_path / "v.ts", Pictures(count=10))
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:0.4,\n"
    (tmp_path / "live.m3u8").write_text(f"{head}v.ts\n")
    (tmp_path / "whole.m3u8").write_text(f"{head}v.ts\n#EXT-X-ENDLIST\n")
    stored = [live_address.Address(f"{served}/{name}.m3u8")._stored for name in ("live", "whole")]
    assert stored == [False, True]


def test_interlaced_pictures_are_deinterlaced(tmp_path, served, waited):
    """Also of a file without a length."""
    write(tmp_path / "v.ts", Pictures("mpeg2video", count=12, fields="top"))
    source = open_source(f"{served}/v.ts", 5.0, VideoOptions(), None)
    assert source.size == (96, 64)
    frames = [frame for _, frame in source.frames()]
    assert [number(frame) for frame in frames] == list(range(12))
    assert [is_combed(frame) for frame in frames[1:]] == [False] * 11  # one has none before it
    assert len(waited) == 11


def test_a_live_stream_comes_when_it_comes_until_it_goes_away(tmp_path, served, waited):
    write(tmp_path / "v.ts", Pictures("mpeg2video", count=12))
    source = open_source(f"{served}/live/v.ts", 5.0, VideoOptions(), None)
    times, frames = zip(*source.frames(), strict=True)
    assert [number(frame) for frame in frames] == list(range(11))  # of one more the end is awaited
    assert list(times) == sorted(times) and not waited
    assert source.broke.startswith("gives no more pictures")


def test_a_stream_that_falls_silent_has_gone_away(tmp_path, served, monkeypatch):
    write(tmp_path / "v.ts", Pictures("mpeg2video", count=12))
    monkeypatch.setattr(live_address, "_SECONDS", 0.5)
    source = open_source(f"{served}/silent/v.ts", 5.0, VideoOptions(), None)
    assert [number(frame) for _, frame in source.frames()] == list(range(11))
    assert source.broke == "gives no more pictures: nothing came for 0.5 s"


def test_what_is_no_stream_is_refused(tmp_path, served):
    (tmp_path / "notes.txt").write_text("no video")
    sound = (Fraction(0), Fraction(1))
    write(tmp_path / "sound.ts", sound=sound)
    for where, said in (
        (f"{served}/notes.txt", "cannot be opened"),
        (f"{served}/sound.ts", "holds no video"),
        ("http://127.0.0.1:9/v.mp4", "cannot be opened .*refused"),
        ("nonsense://host/v", "cannot be opened"),
    ):
        with pytest.raises(UserError, match=said):
            open_source(where, 5.0, VideoOptions(), None)
