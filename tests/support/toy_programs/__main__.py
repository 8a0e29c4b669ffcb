"""`main(words)` leaves a run that is done, or does what $TOY says of its folder.

$TOY is JSON, {what: [parts of folders' names]}: "fails", "crashes", "hangs" and "meets" (waits
until another run has begun too), "sticks" (leaves a thread that does not end), "stands" (still, and
so ends). Each begin is a line of the file $TOY_LOG. Its import takes a while where $TOY_IMPORT is a
file's name; the file says that it is under way.
"""

import json
import os
import signal
import threading
import time
from pathlib import Path

from surgvista_jax import stuck
from surgvista_jax.errors import STANDS_STILL

print("what a library says on import")
if "TOY_IMPORT" in os.environ:
    Path(os.environ["TOY_IMPORT"]).touch()
    time.sleep(0.5)


def main(words: list[str]) -> int:
    named = dict(word.partition("=")[::2] for word in words)
    folder = Path(named.get("--workdir") or named["--out"])
    does = {
        what
        for what, parts in json.loads(os.environ.get("TOY", "{}")).items()
        if any(part in str(folder) for part in parts)
    }
    with open(os.environ["TOY_LOG"], "a") as log:
        pin = os.environ.get("CUDA_VISIBLE_DEVICES", "-")
        log.write(f"{folder} {os.getpid()} {pin} {len(os.sched_getaffinity(0))}\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"budget": {"batch_size": 1, "steps": 1}}')
    if "fails" in does:
        print("surgvista: config.init: no such file")
        return 1
    if "stands" in does:
        stuck.end_at_once(STANDS_STILL)
    if "crashes" in does:
        os.kill(os.getpid(), signal.SIGKILL)
    while "hangs" in does:
        time.sleep(0.05)
    while "meets" in does and len(Path(os.environ["TOY_LOG"]).read_text().splitlines()) < 2:
        time.sleep(0.05)
    if "sticks" in does:
        threading.Thread(target=threading.Event().wait).start()
        stuck.note(lambda: True)
    if words[0] == "pretrain":
        (folder / "checkpoints" / "1").mkdir(parents=True, exist_ok=True)
    else:
        (folder / "result.json").write_text('{"score": "accuracy"}')
    return 0
