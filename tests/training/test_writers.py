"""metrics.jsonl, TensorBoard events and figures: readable, each step once, one writer."""

import json
import os
import resource
import struct

import cv2
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from surgvista_jax.errors import UserError
from surgvista_jax.training.writers import MetricWriter


def lines(folder):
    """The metrics as a strict JSON reader sees them."""

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def events(folder):
    """Every TensorBoard event, by the framing of TFRecord files: length, crc, bytes, crc."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_numbers_reach_both_files_before_the_writer_is_closed(tmp_path):
    writer = MetricWriter(tmp_path, active=True)
    writer.scalars(20, {"loss": 0.1, "skipped_steps": 0})
    assert lines(tmp_path) == [{"step": 20, "loss": 0.1, "skipped_steps": 0}]
    points = [(e.step, v.tag, v.simple_value) for e in events(tmp_path) for v in e.summary.value]
    assert points == [(20, "loss", pytest.approx(0.1)), (20, "skipped_steps", 0)]
    writer.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None])
def test_what_is_not_a_number_is_null(tmp_path, value):
    with MetricWriter(tmp_path, active=True) as writer:
        writer.scalars(1, {"loss": value, "grad_norm": 2.0})
    assert lines(tmp_path) == [{"step": 1, "loss": None, "grad_norm": 2.0}]
    assert [v.tag for e in events(tmp_path) for v in e.summary.value] == ["grad_norm"]


def test_pictures_are_files_and_events(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    with MetricWriter(tmp_path, active=True) as writer:
        path = writer.image(40, "reconstruction/train", image)
    assert path == tmp_path / "figures" / "reconstruction_train_00000040.png"
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), image)
    (value,) = [v for e in events(tmp_path) for v in e.summary.value]
    png = np.frombuffer(value.image.encoded_image_string, np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_COLOR_RGB), image)


def test_a_resumed_run_leaves_each_step_once(tmp_path):
    with MetricWriter(tmp_path, active=True) as writer:
        for step in (10, 20, 30):
            writer.scalars(step, {"loss": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 15, "lo')  # killed in mid-write
    with MetricWriter(tmp_path, active=True, step=20) as writer:
        writer.scalars(30, {"loss": -1.0})
    assert lines(tmp_path) == [
        {"step": 10, "loss": 10.0},
        {"step": 20, "loss": 20.0},
        {"step": 30, "loss": -1.0},
    ]
    starts = [e.step for e in events(tmp_path) if e.session_log.status == SessionLog.START]
    assert starts == [1, 21]  # TensorBoard hides what an earlier start wrote from there on
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2


def test_only_the_active_writer_touches_files(tmp_path):
    with MetricWriter(tmp_path, active=False) as writer:
        writer.scalars(1, {"loss": 1.0})
        assert writer.image(1, "figure", np.zeros((4, 4, 3), np.uint8)) is None
    assert not os.listdir(tmp_path)


def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "figures").touch()
    with pytest.raises(UserError, match=f"^{tmp_path}: cannot be written"):
        MetricWriter(tmp_path, active=True)


def test_a_full_disk_is_one_clear_error_and_keeps_the_lines_before(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError, match=f"^{tmp_path}.*: cannot be written .File too large"):
            with MetricWriter(tmp_path, active=True) as writer:
                resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
                for step in range(100):
                    writer.scalars(step, {"loss": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with MetricWriter(tmp_path, active=True, step=10):
        assert [line["step"] for line in lines(tmp_path)] == list(range(11))


@pytest.mark.parametrize("line", [b"\xff", b'{"step": 1, "lo', b"3", b'{"step": 1e999}', b"{}"])
def test_a_broken_line_is_dropped_as_the_last_and_named_before_others(tmp_path, line, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b"\n")
    with MetricWriter(tmp_path, active=True, step=1) as writer:
        writer.scalars(2, {})
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]
    assert capsys.readouterr().err.startswith(f"{path}, line 2: ")
    path.write_bytes(line + b'\n{"step": 2}\n')
    with pytest.raises(UserError, match="metrics.jsonl, line 1: .*; mend or delete that line"):
        MetricWriter(tmp_path, active=True, step=1)
