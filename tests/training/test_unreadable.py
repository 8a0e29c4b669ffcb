"""Frames that could not be read: named, counted, judged over the newest ones, never trained on."""

import json

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint_files import saved_steps
from surgvista_jax.training.loop import Hook
from surgvista_jax.training.names import Names
from surgvista_jax.training.unreadable import (
    TooManyUnreadable,
    UnreadableFrames,
    UnreadableLimit,
)
from tests.support.toy_run import STEPS, Batches, metrics, train


def test_unreadable_frames_are_named_once_counted_and_listed_at_the_end(tmp_path, capsys):
    names = Names(frame=lambda index, place: f"video01 frame {index}/{place}")
    options = {"names": names, "min_frames": 10_000}
    train(tmp_path, make_batches=lambda s: Batches(s, unreadable=range(9)), **options)
    text = (tmp_path / "unreadable_frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in text] == [
        f"video01 frame {index}/1" for index in (0, 8, 16)
    ]
    err = capsys.readouterr().err
    assert err.count("WARNING: unreadable frame video01 frame 8/1") == 1
    assert "9 of 320 frames could not be read" in err and "unreadable_frames.jsonl" in err
    assert metrics(tmp_path, "unreadable_frames")[-1]["unreadable_frames"] == 9


def test_lines_count_the_frames_of_the_steps_before_them_alone(tmp_path):
    train(tmp_path, make_batches=lambda s: Batches(s, unreadable=[2, 5]), min_frames=10_000)
    counts = [line["unreadable_frames"] for line in metrics(tmp_path, "unreadable_frames")]
    assert counts == [1, 2, 2, 2]


def test_too_many_unreadable_frames_end_the_run(tmp_path):
    options = {"max_unreadable_share": 0.05, "min_frames": 100}
    few = lambda s: Batches(s, unreadable=range(0, 20, 2))  # noqa: E731
    train(tmp_path / "few", make_batches=few, **options)
    with pytest.raises(
        TooManyUnreadable, match=r"7 of 112 frames \(6.2%\).*max_unreadable_share=5.0%"
    ):
        train(tmp_path / "many", make_batches=lambda s: Batches(s, unreadable=range(20)), **options)


def test_data_that_vanish_after_long_show_at_once(tmp_path):
    frames = UnreadableFrames(tmp_path, UnreadableLimit(0.01, 1000), "{}/{}".format, print)
    whole, half = np.zeros((4, 25), bool), np.arange(100).reshape(4, 25) < 50
    for step in range(10_000):
        frames.see(step, np.arange(4), whole)
    with pytest.raises(TooManyUnreadable, match="50 of 1000 frames"):
        frames.see(10_000, np.arange(4), half)


@pytest.mark.parametrize("min_frames", [0, 1, 10_000])
def test_a_batch_without_a_readable_frame_is_never_taken_in(tmp_path, min_frames):
    frames = UnreadableFrames(tmp_path, UnreadableLimit(1.0, min_frames), "{}/{}".format, print)
    with pytest.raises(TooManyUnreadable, match="step 3: none of the 4 frames .* 7/0 the first"):
        frames.see(3, np.array([7, 8]), np.ones((2, 2), bool))


def vanishing(at, partly=()):
    """Batches of which those from a step on are black; of some before, one frame is."""
    return lambda start: Batches(start, unreadable=partly, black=range(at, STEPS))


def test_what_was_trained_before_the_data_vanished_is_kept_and_nothing_after(tmp_path):
    looked = []
    hooks = [Hook(1, lambda step, state: looked.append(step))]
    train(tmp_path / "whole", stop_after=12)
    with pytest.raises(TooManyUnreadable, match="step 13: none of the 16 frames"):
        train(tmp_path / "run", make_batches=vanishing(12), hooks=hooks, min_frames=10_000)
    assert saved_steps(tmp_path / "run" / "checkpoints") == [5, 10, 12]
    assert looked == list(range(1, 13))
    assert metrics(tmp_path / "run", "loss") == metrics(tmp_path / "whole", "loss")
    # And a start on black frames alone changes nothing.
    with pytest.raises(TooManyUnreadable, match="step 13"):
        train(tmp_path / "run", make_batches=vanishing(12))
    assert saved_steps(tmp_path / "run" / "checkpoints") == [5, 10, 12]


def test_steps_that_had_replaced_frames_when_data_vanished_are_not_kept(tmp_path):
    with pytest.raises(TooManyUnreadable):
        train(tmp_path, make_batches=vanishing(13, partly=[11]), min_frames=10_000)
    assert saved_steps(tmp_path / "checkpoints") == [5, 10]
    with pytest.raises(TooManyUnreadable):
        train(tmp_path / "earlier", make_batches=vanishing(13, partly=[8]), min_frames=10_000)
    assert saved_steps(tmp_path / "earlier" / "checkpoints") == [5, 10, 13]


@pytest.mark.parametrize("torn", [b'{"step": 9, "fra', b"\xff\n", b"\0\0"])
def test_a_line_that_a_kill_cut_off_stops_no_restart(tmp_path, torn, capsys):
    """What is named afterwards does not stick to it either."""
    path = tmp_path / "unreadable_frames.jsonl"

    def see(index):
        frames = UnreadableFrames(
            tmp_path, UnreadableLimit(1.0, 0), lambda clip, place: f"frame {clip}", print
        )
        frames.see(1, np.array([index]), np.array([[True, False]]))

    see(0)
    path.write_bytes(path.read_bytes() + torn)
    for index in (0, 1, 0, 1):
        see(index)
    assert capsys.readouterr().err.count("line 2: ") == 1
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["frame"] for line in lines] == ["frame 0", "frame 1"]


@pytest.mark.parametrize("line", [b'{"step": 1}', b"[]", b"\xff", b'{"frame": 3}'])
def test_a_broken_line_before_others_is_named(tmp_path, line):
    (tmp_path / "unreadable_frames.jsonl").write_bytes(line + b'\n{"frame": "a", "step": 1}\n')
    with pytest.raises(UserError, match="frames.jsonl, line 1: .*; mend or delete that line"):
        UnreadableFrames(tmp_path, UnreadableLimit(), "{} {}".format, print)


@pytest.mark.parametrize("wrong", [{"max_share": 1.5}, {"max_share": -0.1}, {"min_frames": -1}])
def test_a_wrong_limit_is_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*should be"):
        UnreadableLimit(**wrong)
