"""The command line of the promises: `python -m tests.torture --minutes 10 --seed 1`.

Every try is drawn from the seed, its promise and its number, so that one command repeats it alone;
only the moment that a kill meets depends on the machine.
"""

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of tries (%(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)d)")
    parser.add_argument("--only", help="promises whose names begin so; several by commas")
    parser.add_argument("--try", dest="number", type=int, help="this try alone, of --only")
    parser.add_argument("--tries", type=int, help="of each promise, instead of --minutes")
    parser.add_argument("--list", action="store_true", help="list the promises and stop")
    parser.add_argument(
        "--scratch", type=Path, help="folder of inputs and failures, new or of an earlier start"
    )
    parser.add_argument(
        "--package", type=Path, help="folder of another version's surgvista_jax to try"
    )
    return parser.parse_args()


def _settle(scratch: Path, package: Path | None) -> None:
    """What has to be set before anything is imported."""
    if package is not None:
        sys.path.insert(0, str(package.absolute()))
    # What one command has compiled, the others need not.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(scratch / "compiled"))
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
        "PYTHONDONTWRITEBYTECODE": "1",  # a limit on files would cut them
    }
    sys.dont_write_bytecode = True


def main() -> int:
    arguments = _parse()
    scratch = arguments.scratch or Path(tempfile.mkdtemp(prefix="surgvista_torture_"))
    scratch = scratch.absolute()
    reused = (scratch / "material").exists()
    if scratch.exists() and any(scratch.iterdir()) and not reused:
        print(f"{scratch}: is not empty; take another --scratch", file=sys.stderr)
        return 2
    _settle(scratch, arguments.package)

    from tests.torture import process

    # Those that take moments come first.
    for room in ("malformed", "spelling", "foreign", "damage", "faults", "kills"):
        importlib.import_module(f"tests.torture.{room}")
    from tests.torture.promises import PROMISES
    from tests.torture.runner import Runner

    only = tuple((arguments.only or "").split(","))
    promises = [p for p in PROMISES if p.name in only or p.share and p.name.startswith(only)]
    if arguments.list or not promises:
        shown = promises if arguments.only else PROMISES
        print("\n".join(f"{p.name:28}{p.text}" for p in shown) or "no such promise")
        return 0 if promises else 2
    process.import_everything()
    # Told to stop, it ends by way of its `finally`s, which end what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    again = f"python -m tests.torture --scratch {scratch}"
    if arguments.package is not None:
        again += f" --package {arguments.package}"
    runner = Runner(promises, arguments.seed, scratch, again)
    print(f"{len(promises)} promises, seed {arguments.seed}, in {scratch}", flush=True)
    runner.prepare()
    if arguments.number is not None:
        for promise in promises:
            runner.attempt(promise, arguments.number)
    elif arguments.tries is not None:
        for promise in promises * arguments.tries:
            runner.attempt(promise, runner.tallies[promise.name].tries)
    else:
        runner.run(arguments.minutes)
    print(runner.table())
    broken = any(tally.broken for tally in runner.tallies.values())
    if not broken and arguments.scratch is None:
        shutil.rmtree(scratch, ignore_errors=True)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
