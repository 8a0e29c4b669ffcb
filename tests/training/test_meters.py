"""Window means survive a restart exactly; speed counts training time alone."""

import json
import math

import pytest

from surgvista_jax.training import meters
from surgvista_jax.training.meters import Speed, Window, is_window
from surgvista_jax.training.peaks import peak_flops

METRICS = [
    {"loss": 0.1 * i, "grad_norm": i, "learning_rate": 1 / i, "finite": 1.0} for i in range(1, 8)
]


def test_a_window_saved_as_json_goes_on_as_if_nothing_had_happened():
    whole, first = Window(), Window()
    for step in METRICS:
        whole.add(step)
    for step in METRICS[:3]:
        first.add(step)
    second = Window(json.loads(json.dumps(first.state())))
    for step in METRICS[3:]:
        second.add(step)
    line = whole.take()
    assert second.take() == line
    assert line == {
        "loss": pytest.approx(0.4),
        "grad_norm": 7,
        "learning_rate": 1 / 7,
        "skipped_steps": 0,
    }
    assert len(whole) == 0 and whole.take() == {"skipped_steps": 0}


def test_skipped_steps_count_but_their_losses_do_not():
    bad = {"loss": math.nan, "grad_norm": math.inf, "finite": 0.0}
    window = Window()
    for step in (METRICS[0], bad, METRICS[1]):
        window.add(step)
    line = window.take()
    assert line["loss"] == pytest.approx(0.15) and line["skipped_steps"] == 1
    window.add(bad)
    assert window.take() == {"loss": None, "grad_norm": math.inf, "skipped_steps": 1}


def test_speed_leaves_out_compilation_and_pauses(monkeypatch):
    now = 0.0
    monkeypatch.setattr(meters.time, "perf_counter", lambda: now)
    speed = Speed(batch_size=8, flops_per_clip={"mfu": 50.0}, peak=1000.0)
    speed.step()
    now = 100.0
    assert speed.take(waited=90.0) == {} and not speed.running
    speed.start(waited=90.0)
    for _ in range(5):
        now += 2.0
        speed.step()
    with speed.paused():
        now += 60.0
    expected = {"clips_per_second": 4.0, "data_wait_share": 0.25, "mfu": 0.2}
    assert speed.take(waited=92.5) == pytest.approx(expected)
    assert speed.take(waited=92.5) == {}  # the next window is empty
    assert "mfu" not in Speed(8, {"mfu": 50.0}, None).take(0.0)


@pytest.mark.parametrize(
    ("device_kind", "teraflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA L4", 121),
        ("TPU v5 lite", 197),
        ("TPU v5", 459),
        ("TPU v4", 275),
        ("TPU v4 lite", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA A1000", None),
        ("Tesla T4", None),
        ("cpu", None),
    ],
)
def test_peaks_by_the_names_that_jax_reports(device_kind, teraflops):
    assert peak_flops(device_kind) == (None if teraflops is None else teraflops * 1e12)


@pytest.mark.parametrize(
    "state",
    [
        5,
        [],
        "x",
        {},
        {"a": []},
        {**Window().state(), "sums": []},
        {**Window().state(), "steps": ""},
        {**Window().state(), "unwritten": {}},
        {**Window().state(), "unwritten": [[5]]},
        {**Window().state(), "other": []},
    ],
)
def test_something_else_is_no_window(state):
    assert not is_window(state) and is_window(None) and is_window(Window().state())
    assert is_window({**Window().state(), "unwritten": [[5, {"loss": None}]]})
