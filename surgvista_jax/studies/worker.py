"""A process that runs commands of a study, one after another, each into the log of its job.

It is told of each by a line of JSON on its standard input, and answers by one on its standard
output: the status, the last line that the command printed, and whether it ran it. One that another
process has brought to its end meanwhile is not run again.
"""

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from surgvista_jax import stuck
from surgvista_jax.errors import UserError
from surgvista_jax.locking import wait_until_free
from surgvista_jax.studies.states import is_done
from surgvista_jax.training.child import SAID, added_to

# s, for a run that was told to stop and still compiles, when it does not hear it, or saves.
_PATIENCE = 300.0
_LONGEST = 300  # characters of a line that is answered
_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)


def main() -> int:
    """Runs what it is told, until there is no more, or it is told to stop.

    The first word is the package whose `__main__.main` takes the words of a command; then come the
    cores that it may use, if not all.

    Whoever starts it has SIGINT blocked: a Ctrl-C while modules are imported comes here, once they
    are, and ends it without a traceback.
    """
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return _run(*sys.argv[1:])
    except KeyboardInterrupt:  # a command that was under way has said so itself
        return 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what libraries do at the end is no error


def _run(package: str, *cores: str) -> int:
    if cores and hasattr(os, "sched_setaffinity"):  # macOS has none
        os.sched_setaffinity(0, map(int, cores))
    answers = os.dup(1)
    os.dup2(2, 1)  # what is printed on import is no answer
    command = importlib.import_module(f"{package}.__main__").main
    for line in sys.stdin:
        told = json.loads(line)
        wait_until_free(Path(told["folder"]), _PATIENCE)
        code, said, ran = 0, "", not is_done(Path(told["folder"]), told["words"], told=True)
        try:
            if ran:
                code, said = _logged(command, told["words"], Path(told["log"]))
        except UserError as error:  # there is no log to be had
            code, said = 1, str(error)
        os.write(answers, json.dumps({"code": code, "said": said, "ran": ran}).encode() + b"\n")
        if code in _STOPPED:
            return code
    return 0


def _logged(command: Callable[[list[str]], int], words: list[str], log: Path) -> tuple[int, str]:
    """Runs a command, whose output goes to the end of a log; its status and its last line."""
    with added_to(log, f"{SAID}{' '.join(words)}\n") as file:
        for stream in (1, 2):
            os.dup2(file, stream)
        try:
            code = command(words)
        except SystemExit as end:  # words that the command does not take
            code = end.code if isinstance(end.code, int) else 1
        except Exception:  # a fault of ours: its traceback is in the log
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
    return code, _last_line(log)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    last = lines[-1] if lines else ""
    return last if len(last) <= _LONGEST else last[:_LONGEST] + "…"


if __name__ == "__main__":
    status = main()
    stuck.leave(status)
    sys.exit(status)
