"""Are programs kept where the user's caches lie, and is the user's word and folder respected?"""

import os
import subprocess
import sys

import jax
import pytest

from surgvista_jax.training import compilation_cache
from surgvista_jax.training.compilation_cache import keep_compiled

NAMES = (
    *("jax_compilation_cache_dir", "jax_compilation_cache_max_size"),
    "jax_enable_compilation_cache",
)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch, tmp_path):
    """No folder is chosen yet, and the user's cache is a scratch folder."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    jax.config.update(NAMES[0], None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_the_users_of_one_kind_of_machine_and_of_limited_size(tmp_path):
    said = compilation_cache.place_of_compiled()
    assert not (tmp_path / "cache").exists()
    folder = keep_compiled()
    assert folder.parent == tmp_path / "cache" / "surgvista_jax" / "compiled"
    assert said == str(folder)
    assert folder.is_dir() and folder.stat().st_mode & 0o77 == 0
    assert folder.name.startswith("cpu-")
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert 0 < jax.config.jax_compilation_cache_max_size < 10e9


def test_another_processor_has_another_folder(monkeypatch):
    ours = compilation_cache._machine()
    monkeypatch.setattr(compilation_cache.platform, "machine", lambda: "other")
    assert compilation_cache._machine() != ours
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compilation_cache._machine() == "gpu"


def test_without_a_variable_it_is_the_usual_place(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert compilation_cache.user_cache() == tmp_path / ".cache" / "surgvista_jax"


@pytest.mark.parametrize("name, value", [(NAMES[0], "/elsewhere"), (NAMES[2], False)])
def test_what_the_user_says_stays(tmp_path, name, value):
    jax.config.update(name, value)
    assert keep_compiled() is None and getattr(jax.config, name) == value
    assert compilation_cache.place_of_compiled() == (value or None)
    assert not (tmp_path / "cache").exists()


def test_several_processes_keep_nothing(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert keep_compiled() is None and jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("why", ["no folder", "no home", "another user's", "no filelock"])
def test_where_nothing_can_be_kept_one_line_says_it_and_the_program_goes_on(
    tmp_path, monkeypatch, capsys, why
):
    if why == "no folder":
        (tmp_path / "cache").write_text("a file")
    elif why == "no home":
        monkeypatch.setattr(compilation_cache, "user_cache", _no_home)
    elif why == "another user's":
        monkeypatch.setattr(os, "getuid", lambda: -1)
    else:
        monkeypatch.setattr(compilation_cache.importlib.util, "find_spec", lambda name: None)
    assert keep_compiled() is None and jax.config.jax_compilation_cache_dir is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("WARNING: ") and "JAX_COMPILATION_CACHE_DIR" in line


def _no_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_second_process_takes_what_the_first_compiled(tmp_path):
    """The value is the same, nothing is compiled, and neither says a word."""
    program = """
import jax
from surgvista_jax.training.compilation_cache import keep_compiled
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
assert keep_compiled() is not None
hits = []
jax.monitoring.register_event_listener(
    lambda name, **_: hits.append(1) if name.endswith("/cache_hits") else None
)
print(jax.jit(lambda x: jax.numpy.sin(x) @ x.T)(jax.numpy.ones((3, 3))).sum(), bool(hits))
"""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "error"}
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    first, second = (run.stdout.split() for run in said)
    assert first[0] == second[0] and (first[1], second[1]) == ("False", "True")
    assert not said[0].stderr and not said[1].stderr
