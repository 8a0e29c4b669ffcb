"""Frames that stay on the device give the clips of frames that stay here, and are sent once."""

import jax
import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.past_frames import PastFrames
from surgvista_jax.inference.device_frames import DeviceFrames
from surgvista_jax.training.partition import MeshConfig, make_mesh

CLIP = ClipConfig(num_frames=3, stride=2, size=4)


@pytest.fixture(scope="module")
def device():
    return DeviceFrames(CLIP, make_mesh(MeshConfig(data=1), jax.devices()[:1]), lambda frame: frame)


def written(host: PastFrames) -> np.ndarray:
    out = np.empty((CLIP.num_frames, CLIP.size, CLIP.size, 3), np.uint8)
    host.write(out)
    return out[None]


def test_clips_are_those_of_frames_that_stay_here(device):
    """Whatever comes between two clips: several frames, the same again."""
    rng = np.random.default_rng(0)
    for _ in range(3):  # other videos
        device.restart()
        host = PastFrames(CLIP)
        for _ in range(60):
            new = [rng.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(rng.integers(1, 4))]
            for frame in [*new, *[new[-1]] * int(rng.integers(0, 6))]:
                device.push(frame), host.push(frame)
            np.testing.assert_array_equal(device.clip(), written(host))


def test_what_a_failed_program_took_is_there_for_the_next_video(device):
    device.restart()
    device._ring.delete()
    device.restart()
    device.push(np.full((4, 4, 3), 7, np.uint8))
    assert (np.asarray(device.clip()) == 7).all()


def test_a_frame_is_sent_once(device, monkeypatch):
    device.restart()
    sent, program = [], device._program

    def watched(ring, frame, places):
        sent.append(frame)
        return program(ring, frame, places)

    monkeypatch.setattr(device, "_program", watched)
    one, two, three = (np.full((4, 4, 3), k, np.uint8) for k in range(3))
    for frame in (one, one, one, two, three, three):
        device.push(frame)
    clip = device.clip()
    assert [frame is each for frame, each in zip(sent, (one, two, three), strict=True)] == [
        True
    ] * 3
    np.testing.assert_array_equal(np.asarray(clip)[0, :, 0, 0, 0], [0, 1, 2])
