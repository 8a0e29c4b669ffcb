"""What reaches the terminal: a bar or lines, warnings always, silence where it is asked for."""

import re

import pytest

from surgvista_jax.training.progress import Progress


def shown(capsys, mode, active=True):
    seconds = iter(range(0, 600, 30))
    with Progress(mode, 5, 20, active, now=lambda: next(seconds)) as progress:
        for _ in range(5):
            progress.step()
        progress.line(10, {"loss": 0.123456, "mfu": None})
        progress.say("WARNING: look")
    out, err = capsys.readouterr()
    assert not out and "WARNING: look" in err
    return err.replace("WARNING: look\n", "")


@pytest.mark.parametrize("mode", ["lines", "auto"])  # stderr is no terminal here
def test_lines_without_a_terminal(capsys, mode):
    assert re.fullmatch(r"step 10/20, \d min \d+ s left  loss 0.1235  mfu -\n", shown(capsys, mode))


def test_the_bar_starts_where_the_run_does(capsys):
    bar = shown(capsys, "bar")
    assert "5/20" in bar and "10/20" in bar and "loss 0.1235" in bar


def test_silence(capsys):
    assert not shown(capsys, "none")
    assert not shown(capsys, "lines", active=False)


def test_time_left_is_measured_behind_the_first_step_which_compiles(capsys):
    clock = [0.0]
    with Progress("lines", 0, 40, True, now=lambda: clock[0]) as progress:
        for seconds in (1000, *[3] * 9):
            clock[0] += seconds
            progress.step()
        progress.line(10, {"loss": 1.0})
    expected, line = capsys.readouterr().err.splitlines()
    assert expected == "expected time: 1 min 42 s for the 34 steps to come, by the first 5"
    assert line == "step 10/40, 1 min 30 s left  loss 1"


def test_nothing_is_left_at_the_end(capsys):
    with Progress("lines", 0, 2, True) as progress:
        progress.step()
        progress.step()
        progress.line(2, {"loss": 1.0})
    assert capsys.readouterr().err == "step 2/2  loss 1\n"


@pytest.mark.parametrize("columns", [10, 40, 41, 80, 200])
def test_the_bar_fits_a_terminal_also_when_it_is_resized(columns):
    progress = Progress("bar", 5, 400, True)
    bar = progress._bar
    bar.values = [f"metric_{number} {number / 7:.4g}" for number in range(12)]
    for width in (120, columns, 120):
        bar.dynamic_ncols = lambda _, width=width: (width, 24)
        drawn = str(bar)
        assert len(drawn) <= width and "5/400" in drawn
        if width >= 40:
            assert "left" in drawn and "metric_0 0" in drawn
            assert drawn.endswith(tuple(bar.values))  # none is cut in two
