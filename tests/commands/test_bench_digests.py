"""The cost of digests is measured on what a save digests, and told for each GiB."""

import json

import pytest

from surgvista_jax.__main__ import main


def test_seconds_for_each_gib(capsys):
    assert main(["bench", "digests", "--mib", "8", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["mib"] == 8 and 0 < row["finite_seconds_per_gib"] < row["seconds_per_gib"] < 1000
    assert main(["bench", "digests", "--mib", "4"]) == 0
    assert "s for each GiB of float32 on cpu (4 MiB" in capsys.readouterr().out


@pytest.mark.parametrize("mib", ["0", "-1", "99999999"])
def test_a_size_that_is_none_is_named(mib, capsys):
    assert main(["bench", "digests", f"--mib={mib}"]) == 1
    assert f"--mib={mib}: should be from 1 to" in capsys.readouterr().err
