"""What reaches the terminal: a bar or lines, warnings always, silence where it is asked for."""

import pytest

from surgvista_jax.training.progress import Progress


def shown(capsys, mode, active=True):
    with Progress(mode, 5, 20, active) as progress:
        for _ in range(5):
            progress.step()
        progress.line(10, {"loss": 0.123456, "mfu": None})
        progress.say("WARNING: look")
    out, err = capsys.readouterr()
    assert not out and "WARNING: look" in err
    return err.replace("WARNING: look\n", "")


@pytest.mark.parametrize("mode", ["lines", "auto"])  # stderr is no terminal here
def test_lines_without_a_terminal(capsys, mode):
    assert shown(capsys, mode) == "step 10/20  loss 0.1235  mfu -\n"


def test_the_bar_starts_where_the_run_does(capsys):
    bar = shown(capsys, "bar")
    assert "5/20" in bar and "10/20" in bar and "loss 0.1235" in bar


def test_silence(capsys):
    assert not shown(capsys, "none")
    assert not shown(capsys, "lines", active=False)
