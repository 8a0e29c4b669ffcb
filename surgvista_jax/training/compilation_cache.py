"""Programs that were compiled once are kept in the user's cache folder for the next start.

JAX keeps them, by what is compiled, its options, versions and devices. We say where, and how much.
"""

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
from pathlib import Path

import jax

from surgvista_jax.caches import user_cache

_OF_USER = "JAX_COMPILATION_CACHE_DIR"  # JAX reads it
_SWITCH = "JAX_ENABLE_COMPILATION_CACHE"
_LARGEST = 2 * 2**30  # bytes, for each kind of machine; the programs that were used last stay
_CPU_FACTS = ("model name", "flags", "Features", "CPU part")


def keep_compiled() -> Path | None:
    """Has JAX keep what it compiles, and take what is kept; called once devices have started.

    Nothing is done where the user says a folder or says no (JAX's own variables), nor for several
    processes: one that finds its program does not tune it, and others that tune theirs would wait.

    Returns:
        The folder; None where nothing is kept by us.
    """
    said, wanted = _told()
    if said is not None or not wanted or jax.process_count() > 1:
        return None
    try:
        folder = _folder()
    except (OSError, RuntimeError) as error:  # the latter: there is no home
        print(
            f"WARNING: what is compiled is not kept for the next start: {error};"
            f" {_OF_USER}=FOLDER takes another folder, {_SWITCH}=false none",
            file=sys.stderr,
        )
        return None
    jax.config.update("jax_compilation_cache_max_size", _LARGEST)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def place_of_compiled() -> str | None:
    """Where programs of one process are kept, by the user's word or ours; None where they are not.

    Nothing is made. It may be an address, which JAX takes too.

    Raises:
        RuntimeError: the user has no home.
    """
    said, wanted = _told()
    if not wanted:
        return None
    return str(_ours()) if said is None else said


def _told() -> tuple[str | None, bool]:
    """What the user says of the folder, and whether anything may be kept."""
    said, wanted = (getattr(jax.config, name) for name in (_OF_USER.lower(), _SWITCH.lower()))
    return said, wanted


def _ours() -> Path:
    return user_cache() / "compiled" / _machine()


def _folder() -> Path:
    """Makes the folder. Raises OSError or RuntimeError where it cannot be used."""
    # JAX limits the size with this package alone.
    if importlib.util.find_spec("filelock") is None:
        raise RuntimeError("the package filelock is not installed")
    folder = _ours()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # a program from there would run as ours
        raise RuntimeError(f"{folder} is another user's")
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0")
    return folder


def _machine() -> str:
    """A folder's name for machines whose programs are alike.

    Of processors JAX does not tell one with some instructions from one without them, and homes are
    shared; GPUs and TPUs it tells apart itself.
    """
    backend = jax.default_backend()
    if backend != "cpu":
        return backend
    facts = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        facts += sorted({line for line in lines if line.startswith(_CPU_FACTS)})
    except OSError:
        pass  # another system than Linux
    return f"cpu-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"
