"""Do the images hold what the package needs, and does a container see what a run needs?"""

import re
import tomllib

import pytest

from tests.support.launch_place import RUN, parsed
from tests.support.places import ROOT

DEVICES = ("gpu", "tpu")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def steps(device: str) -> list[list[str]]:
    """The instructions of an image, as words."""
    text = (ROOT / f"launch/container/{device}.Dockerfile").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if re.match("[A-Z]+ ", line)]


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_copied_is_there_and_all_that_the_package_is_built_from(device):
    copied = {source for step in steps(device) if step[0] == "COPY" for source in step[1:-1]}
    assert [source for source in copied if not (ROOT / source).exists()] == []
    hatch = PROJECT["tool"]["hatch"]
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    needed |= set(hatch["metadata"]["hooks"]["requirements_txt"]["files"])
    wheel = hatch["build"]["targets"]["wheel"]
    needed |= {*wheel["packages"], *wheel["force-include"]}
    assert needed <= copied


@pytest.mark.parametrize("device", DEVICES)
def test_only_what_is_copied_goes_to_docker(device):
    """Of a clone with runs and data; BuildKit reads the file beside the Dockerfile."""
    file = ROOT / f"launch/container/{device}.Dockerfile.dockerignore"
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    copied = [source for step in steps(device) if step[0] == "COPY" for source in step[1:-1]]
    assert lines == ["*", *(f"!{source}" for source in copied), "**/__pycache__"]


@pytest.mark.parametrize("device", DEVICES)
def test_it_is_installed_as_the_readme_says(device):
    (install,) = (step for step in steps(device) if step[:2] == ["RUN", "pip"])
    extra = f'".[{device}]"'
    assert install[2] == "install" and install[-2:] == ["-e", extra]
    assert device in PROJECT["project"]["optional-dependencies"]
    assert extra in (ROOT / "README.md").read_text(encoding="utf-8")
    (base,) = (step[1] for step in steps(device) if step[0] == "FROM")
    lowest = re.search(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    found = re.fullmatch(r"python:3\.(\d+)-slim", base)
    assert lowest and found and int(lowest[1]) <= int(found[1])


@pytest.mark.parametrize("device", DEVICES)
def test_an_image_is_built_from_the_whole_repository(place, device):
    out, err = place.run("container/build.sh", "--dry-run", device, "here/surgvista:1")
    file = ROOT / "launch" / "container" / f"{device}.Dockerfile"
    words = [f"--file={file}", "--tag=here/surgvista:1", str(ROOT)]
    assert parsed(out) == [["docker", "build", *words]]
    assert len(err) == 1 and "docker: no such command here" in err[0]


@pytest.mark.parametrize("device", DEVICES)
def test_a_container_sees_data_run_and_own_configuration_under_their_paths(place, device):
    place.program("docker")
    place.run("container/train.sh", device, *RUN, "--config.seed=3")
    (words,) = place.calls("docker")
    data, run = place.folder / "my data", place.folder / "runs" / "a run"
    config = place.folder / "my config.py"
    mounts = [word.removeprefix("--mount=") for word in words if word.startswith("--mount=")]
    assert mounts == [
        f"type=bind,source={data},target={data},readonly",
        f"type=bind,source={run},target={run}",
        f"type=bind,source={config},target={config},readonly",
    ]
    assert run.is_dir()  # else Docker makes it, for root
    training = words[words.index(f"surgvista:{device}") + 1 :]
    assert training[:2] == ["pretrain", f"--config={config}:base"]
    assert f"--config.data.folder={data}" in training and training[-1] == "--config.seed=3"
    assert {"--init", "--ipc=host"} <= set(words)
    assert ("--gpus=all" in words) == (device == "gpu")


def test_a_configuration_of_the_repository_is_the_images_own(place):
    config = ROOT / "configs" / "demo.py"
    for given in (config, "configs/demo.py"):
        out, _ = place.run("container/train.sh", "--dry-run", "gpu", "pretrain", given, *RUN[2:])
        (words,) = parsed(out)
        assert "--config=configs/demo.py" in words
        assert not any(str(config) in word for word in words)


def test_folders_that_docker_cannot_name_are_refused(place):
    place.program("docker")
    (place.folder / "a,b").mkdir()
    (place.folder / "a").mkdir()
    (place.folder / "b").mkdir()
    _, (line,) = place.run("container/train.sh", "gpu", *RUN[:2], "a,b", "run", status=1)
    assert "a,b: one folder, without a comma in its name" in line
    assert place.calls("docker") == []


@pytest.mark.parametrize("folders", [("my data", "gs://bucket/run"), ("gs://bucket/data", "run")])
def test_what_lies_elsewhere_is_refused_and_no_folder_is_called_so(place, folders):
    place.program("docker")
    for dry in ([], ["--dry-run"]):
        _, (line,) = place.run("container/train.sh", *dry, "gpu", *RUN[:2], *folders, status=2)
        assert "gs://bucket/" in line and "a folder of this machine" in line
    assert place.calls("docker") == [] and not (place.folder / "gs:").exists()
