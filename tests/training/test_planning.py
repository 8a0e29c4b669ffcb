"""Are measured rates said to be measured, and all others scaled and said to be estimates?"""

import re

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.planning import DEVICES, MEASURED, rate_of
from tests.support.documentation import read


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row.program)
def test_what_was_measured_is_taken_as_it_is_where_all_is_the_same(row):
    rate = rate_of(row.program, row.device, 1e9 * row.gflop)
    assert rate.measured and rate.clips_per_second == row.clips_per_second
    rate = rate_of(row.program, row.device, 1e9 * row.gflop, as_measured=False)
    assert not rate.measured and rate.source.startswith("estimated")


def test_the_page_tells_the_same_rates():
    text = read("speed.md")
    for program, command in zip(MEASURED, ("pretrain", "finetune", "predict"), strict=True):
        told = re.search(rf"^ *\| `{command} --config=[^|]*\| ([\d,.]+) \|", text, re.MULTILINE)
        assert float(told[1].replace(",", "")) == program.clips_per_second


def test_any_other_rate_is_scaled_by_operations_and_peaks():
    row = MEASURED[0]
    rate = rate_of(row.program, row.device, 2e9 * row.gflop)
    assert not rate.measured and rate.clips_per_second == pytest.approx(row.clips_per_second / 2)
    rate = rate_of(row.program, "a100", 1e9 * row.gflop)
    assert not rate.measured
    assert rate.clips_per_second == pytest.approx(row.clips_per_second * 312 / 989)


def test_every_device_has_a_peak_and_a_gpu_the_share_that_jax_takes(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    for device in DEVICES.values():
        assert device.peak > 1e13 and 0.7 * device.memory < device.usable <= device.memory
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", ".5")
    assert DEVICES["h100"].usable == DEVICES["h100"].memory / 2
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "much")
    with pytest.raises(UserError, match="MEM_FRACTION=much"):
        print(DEVICES["h100"].usable)
