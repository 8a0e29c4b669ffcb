"""Does the doctor tell what is there, and does nothing that is missing or broken end it?"""

import json
import os

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.checkup import gather
from tests.support.places import ROOT


def test_this_machine_can_run(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["jax"]["backend"] and told["jax"]["devices"][0]["kind"]
    assert told["decoders"]["jpeg"]
    assert set(told["decoders"]["codecs"]) == {"h264", "hevc", "av1", "vp9", "mpeg2", "mjpeg"}
    assert told["decoders"]["codecs"]["h264"] == "h264"
    needed = {package["name"]: package for package in told["installed"]["needed"]}
    assert needed["jax"]["fits"] and told["installed"]["builds"]["jaxlib"]
    assert told["machine"]["cores"] >= 1 and told["machine"]["free"] > 0
    assert told["jax"]["cache"].startswith(str(tmp_path))
    assert not list(tmp_path.iterdir()), "nothing is written"
    assert all(finding["remedy"] for finding in told["findings"])


def test_broken_libraries_are_lines_and_a_failure(capsys, tmp_path, monkeypatch):
    """One that is missing, one that the linker refuses, one that crashes."""
    (tmp_path / "jax.py").write_text("import os; os.abort()")
    (tmp_path / "av.py").write_text("raise ImportError('libxcb.so.1: no such file')")
    (tmp_path / "cv2.py").write_text("raise OSError('libGL.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    for text in ("crashed (SIGABRT)", "libxcb.so.1", "libGL.so.1"):
        assert sum(text in line for line in said.splitlines() if "ERROR" in line) == 1, said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import time; time.sleep(60)", "did not answer within 0.5 s"),
        ("print('no JSON')", "printed no answer"),
        ("raise SystemExit(3)", "failed (status 3)"),
    ],
)
def test_a_library_that_does_not_answer(code, said, tmp_path, monkeypatch):
    (tmp_path / "made_up.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found, trouble, _ = gather.ask("made_up", seconds=0.5)
    assert found is None and trouble == said


def test_a_broken_nvidia_smi_is_told(tmp_path, monkeypatch):
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gather._gpus() == ((), "No devices were found")
