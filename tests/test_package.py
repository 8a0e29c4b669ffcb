"""Does what is built for others hold all that is tracked here, JavaScript, weights and all?"""

import subprocess
import tarfile
import zipfile

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from surgvista_jax import __version__
from tests.support.places import ROOT

NAME = f"surgvista_jax-{__version__}"


@pytest.fixture(scope="module")
def tracked():
    """Files that git knows, of the package and of the configurations."""
    command = ["git", "ls-files", "-z", "surgvista_jax", "configs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode or not done.stdout:
        pytest.skip("not in a clone")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_all_of_it_and_no_tests(tracked, tmp_path):
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        metadata = archive.read(f"{NAME}.dist-info/METADATA").decode()
        starts = archive.read(f"{NAME}.dist-info/entry_points.txt").decode()
    inside = {n for n in names if not n.startswith(f"{NAME}.dist-info/")}
    # The configurations come along, inside of the package.
    expected = {f"surgvista_jax/{n}" if n.startswith("configs/") else n for n in tracked}
    assert expected <= inside
    assert not [n for n in inside if "__pycache__" in n or n.startswith("tests")]
    assert any(name.endswith(".js") for name in inside)
    assert any(name.endswith(".safetensors") for name in inside)
    assert "surgvista = surgvista_jax.__main__:main" in starts
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: jax")]
    assert needed and f"{NAME}.dist-info/licenses/LICENSE" in names


def test_the_sdist_builds_the_same_wheel(tracked, tmp_path):
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(built) as archive:
        inside = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    files = {"README.md", "LICENSE", "pyproject.toml", "requirements.txt", "PKG-INFO"}
    assert tracked | files <= inside
    assert not {name for name in inside if name.startswith(("tests/", "."))} - {".gitignore"}
