"""Does a program that runs as a child end as it should, and never outlive its parent?"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from surgvista_jax.errors import UserError, end_in_words
from surgvista_jax.training.child import Stopped, run_program
from tests.support.places import ROOT

# Notes how often it was told to stop, and ends as our runs do.
PATIENT = """
import pathlib, signal, sys, time
told = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: told.append(number))
pathlib.Path("ready").touch()
deadline = time.monotonic() + 99
while not told and time.monotonic() < deadline:
    time.sleep(0.02)
time.sleep(0.1)
pathlib.Path("told").write_text(" ".join(str(int(number)) for number in told))
sys.exit(143)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "patient.py").write_text(PATIENT)
    return tmp_path


def wait_for(path):
    deadline = time.monotonic() + 50
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("os.kill(os.getpid(), 11)", r"^x/run: pretrain crashed \(SIGSEGV\); x/run.log says more;"),
        ("os._exit(1)", r"^x/run: pretrain failed \(status 1\); x/run.log says more;"),
    ],
)
def test_what_fails_is_one_line_that_names_the_run(here, line, said):
    (here / "ends.py").write_text(f"import os\n{line}\n")
    with pytest.raises(UserError, match=said):
        run_program(["pretrain"], Path("x/run"), module="ends")
    text = (here / "x" / "run.log").read_text()
    assert ("Fatal Python error: Segmentation fault" in text) == ("11" in line)


def test_every_end_has_words():
    assert end_in_words(-signal.SIGKILL).startswith("was killed (SIGKILL")
    assert end_in_words(-50) == "crashed (signal 50)"


def test_what_it_prints_is_added_to_a_log_of_ours_alone(here, capfd):
    (here / "prints.py").write_text("import sys\nprint(sys.argv[1:])\n")
    for _ in range(2):
        run_program(["a b", "--c=d"], Path("run"), module="prints")
    assert (here / "run.log").read_text() == "$ surgvista a b --c=d\n['a b', '--c=d']\n" * 2
    assert capfd.readouterr() == ("", "run: a b; what it says is added to run.log\n" * 2)
    (here / "run.log").write_text("theirs")
    with pytest.raises(UserError, match="run.log: was not written by this program"):
        run_program(["a b"], Path("run"), module="prints")
    assert (here / "run.log").read_text() == "theirs"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_it_once_and_is_a_stop(here, number):
    def tell():
        wait_for(here / "ready")
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    thread = threading.Thread(target=tell)
    thread.start()
    with pytest.raises(Stopped):
        run_program(["pretrain"], Path("x"), module="patient")
    thread.join()
    assert (here / "told").read_text() == str(int(number))
    assert signal.getsignal(number) == before


@pytest.fixture
def parent(here):
    """A process whose child waits to be told to stop."""
    program = (
        "from pathlib import Path\n"
        "from surgvista_jax.training.child import run_program\n"
        "run_program(['pretrain'], Path('x'), module='patient')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        wait_for(here / "ready")
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells of a parent's death")
def test_it_is_told_to_stop_when_its_parent_is_killed(here, parent):
    parent.kill()
    parent.wait()
    wait_for(here / "told")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process does")
def test_it_stands_still_with_its_parent_and_goes_on_with_it(parent):
    (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    for number, stopped in ((signal.SIGTSTP, True), (signal.SIGCONT, False)) * 2:
        parent.send_signal(number)
        deadline = time.monotonic() + 50
        while {state(parent.pid) == "T", state(child) == "T"} != {stopped}:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def state(process):
    """As /proc tells it: "T" is one that was stopped."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_that_came_too_late_for_the_run_still_stops_what_follows(here, number, raised):
    (here / "deaf.py").write_text(
        "import os, signal, time\n"
        f"signal.signal({int(number)}, signal.SIG_IGN)\n"
        f"os.kill(os.getppid(), {int(number)})\n"
        "time.sleep(0.2)\n"
    )
    with pytest.raises(raised):
        run_program(["pretrain"], Path("x"), module="deaf")
