"""Faults that do not stop a run: each is named and counted, and too many do stop it."""

import json

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.faults import UnreadableFrames
from surgvista_jax.training.loop import Names
from tests.support.toy_run import Batches, metrics, train


def poison(*steps):
    """Batches whose values are not finite at these steps."""
    return lambda s: Batches(s, x=lambda step, x: x * np.float32("nan") if step in steps else x)


def test_a_bad_step_is_skipped_named_and_left_out_of_the_means(tmp_path, capsys):
    names = Names(clip=lambda index: ("vidéo", index))
    train(tmp_path, make_batches=poison(6, 9), max_bad_steps=2, names=names)
    assert [line["skipped_steps"] for line in metrics(tmp_path, "skipped_steps")] == [0, 2, 0, 0]
    assert all(np.isfinite(line["loss"]) for line in metrics(tmp_path, "loss"))
    text = (tmp_path / "skipped_steps.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in text]
    assert [line["step"] for line in lines] == [7, 10]
    assert lines[0]["clips"] == [f"('vidéo', {index})" for index in range(8)]
    err = capsys.readouterr().err
    assert "step 7 skipped" in err and "('vidéo', 0); ('vidéo', 1)" in err


def test_bad_steps_in_a_row_end_the_run_with_the_good_checkpoint(tmp_path):
    with pytest.raises(UserError, match="step 14: .* not finite 3 steps in a row"):
        train(tmp_path, make_batches=poison(11, 12, 13, 14, 15), max_bad_steps=3, save_every=7)
    assert {child.name for child in (tmp_path / "checkpoints").iterdir()} == {"7"}
    assert np.isfinite(restore_params(tmp_path)["w"]).all()


def test_a_resumed_run_names_each_skipped_step_once(tmp_path):
    with pytest.raises(UserError):
        train(tmp_path, make_batches=poison(11, 12, 13), max_bad_steps=3, save_every=12)
    train(tmp_path, make_batches=poison(11, 12), max_bad_steps=3, save_every=10)
    lines = (tmp_path / "skipped_steps.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [12, 13]


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


def test_too_many_unreadable_frames_end_the_run(tmp_path):
    options = {"max_unreadable_share": 0.05, "min_frames": 100}
    few = lambda s: Batches(s, unreadable=range(0, 20, 2))  # noqa: E731
    train(tmp_path / "few", make_batches=few, **options)
    with pytest.raises(UserError, match=r"7 of 112 frames \(6.2%\).*max_unreadable_share=5.0%"):
        train(tmp_path / "many", make_batches=lambda s: Batches(s, unreadable=range(20)), **options)


@pytest.mark.parametrize("torn", [b'{"step": 9, "fra', b"\xff\n", b"\0\0"])
def test_a_line_that_a_kill_cut_off_stops_no_restart(tmp_path, torn, capsys):
    """What is named afterwards does not stick to it either."""
    path = tmp_path / "unreadable_frames.jsonl"

    def see(index):
        frames = UnreadableFrames(tmp_path, 1.0, 0, lambda clip, place: f"frame {clip}", print)
        frames.see(1, np.array([index]), np.array([[True]]))

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
        UnreadableFrames(tmp_path, 1.0, 0, "{} {}".format, print)
