"""Are packages found, those that an extra lacks too, by what their installers wrote down?"""

import sys

import packaging.requirements  # noqa: F401  # while Python still finds it
import packaging.specifiers  # noqa: F401
import packaging.utils  # noqa: F401
import pytest

from surgvista_jax.checkup.facts import Package
from surgvista_jax.checkup.installed import read_installed

OURS = """\
Requires-Python: >=3.11
Requires-Dist: Made_Up.One>=2,<3
Requires-Dist: gone
Requires-Dist: elsewhere; sys_platform == "none"
Provides-Extra: gpu
Requires-Dist: made-up-one[cuda]>=2; extra == "gpu"
Provides-Extra: both
Requires-Dist: surgvista_jax[gpu]; extra == "both"
Provides-Extra: there
Requires-Dist: made-up-two; extra == "there"
"""
ONE = """\
Provides-Extra: cuda
Requires-Dist: made-up-plugin; extra == "cuda"
Requires-Dist: made-up-two; extra == "cuda"
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Installs a package in a folder of its own, in which alone Python looks."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(name, version, more=""):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}"
        (folder / "METADATA").write_text(text)

    return install


def test_what_is_there_what_is_not_and_what_extras_lack(write):
    write("surgvista_jax", "0.1.0", OURS)
    write("made_up_one", "3.1", ONE)
    write("made_up_two", "1")
    write("opencv_python", "4.12")
    write("jax_cuda13_plugin", "0.11.0")
    found = read_installed()
    assert found.known and found.python_fits
    assert found.needed == (
        Package("made-up-one", "<3,>=2", "3.1", False),
        Package("gone", "", None, False),
    )
    lacking = ("made-up-plugin",)
    assert found.extras == {"gpu": lacking, "both": lacking, "there": ()}
    assert found.opencv == {"opencv-python": "4.12"}
    assert found.builds == {"jax-cuda13-plugin": "0.11.0"}


def test_without_what_compares_versions_that_is_what_is_missing(write, monkeypatch):
    write("surgvista_jax", "0.1.0", OURS)
    for name in ("packaging.requirements", "packaging.specifiers"):
        monkeypatch.setitem(sys.modules, name, None)
    assert read_installed().needed == (Package("packaging", "", None, False),)


def test_without_any_package_it_is_told(write, tmp_path):
    (tmp_path / "half-1.dist-info").mkdir()  # whose installer was killed
    found = read_installed()
    assert not found.known and found.python and found.needed == ()
