"""What reaches the terminal: a bar or lines, warnings always, silence where it is asked for."""

import re

import pytest

from surgvista_jax.training.progress import Progress
from surgvista_jax.training.time_left import Aside, TimeLeft


def shown(capsys, mode, active=True):
    seconds = iter(range(0, 6000, 30))
    left = TimeLeft(5, 20, now=lambda: next(seconds))
    with Progress(mode, left, active) as progress:
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
    with Progress("lines", TimeLeft(0, 40, now=lambda: clock[0]), True) as progress:
        for seconds in (1000, *[3] * 9):
            clock[0] += seconds
            progress.step()
        progress.line(10, {"loss": 1.0})
    expected, line = capsys.readouterr().err.splitlines()
    assert expected == "expected time: 1 min 42 s for the 34 steps to come, by the first 5"
    assert line == "step 10/40, 1 min 30 s left  loss 1"


def test_what_is_done_between_steps_is_counted_and_named_until_it_is(capsys):
    clock, between = [0.0], {"save": Aside("save", [10, 20]), "e": Aside("evaluate", [10, 20])}
    left = TimeLeft(0, 20, between, lambda: clock[0])
    with Progress("lines", left, True) as progress:
        for step in range(1, 12):
            clock[0] += 3
            progress.step()
            if step >= 10:
                progress.line(step, {})
            if step == 10:
                with left.aside("e", step):
                    clock[0] += 60
        assert left.seconds() == 9 * 3 + 60
    with Progress("bar", left, True) as progress:
        assert "01:27 left" in str(progress._bar)
    expected, before, after, *_ = capsys.readouterr().err.splitlines()
    assert expected.startswith("expected time: 42.0 s and 2 evaluations for the 14 steps to come")
    assert before.startswith("step 10/20, 30.0 s and 2 evaluations left")
    assert after.startswith("step 11/20, 1 min 27 s left")


def test_nothing_is_left_at_the_end(capsys):
    with Progress("lines", TimeLeft(0, 2), True) as progress:
        progress.step()
        progress.step()
        progress.line(2, {"loss": 1.0})
    assert capsys.readouterr().err == "step 2/2  loss 1\n"


@pytest.mark.parametrize("columns", [10, 40, 41, 80, 200])
def test_the_bar_fits_a_terminal_also_when_it_is_resized(columns):
    progress = Progress("bar", TimeLeft(5, 400), True)
    bar = progress._bar
    bar.values = [f"metric_{number} {number / 7:.4g}" for number in range(12)]
    for width in (120, columns, 120):
        bar.dynamic_ncols = lambda _, width=width: (width, 24)
        drawn = str(bar)
        assert len(drawn) <= width and "5/400" in drawn
        if width >= 40:
            assert "left" in drawn and "metric_0 0" in drawn
            assert drawn.endswith(tuple(bar.values))  # none is cut in two
