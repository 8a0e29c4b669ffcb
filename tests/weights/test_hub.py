"""Weights of the Hub, out of a cache that the test makes: no network is asked."""

import builtins
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.numpy import save_file

from surgvista_jax.__main__ import main
from surgvista_jax.commands.weights_export import read_checkpoint
from surgvista_jax.config import load_config
from surgvista_jax.errors import UserError
from surgvista_jax.inference.seen import seen_by
from surgvista_jax.inference.starting_point import read_backbone
from surgvista_jax.inference.trained import load_classifier
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.for_pretraining import load_student, load_teacher
from surgvista_jax.weights.hub import fetch
from surgvista_jax.weights.loading import load, load_backbone
from surgvista_jax.weights.place import locate
from tests.support import tiny_run
from tests.support.weight_files import GIVEN, HEADS, random_arrays, tiny_config, write_tiny
from tests.weights.test_foreign_folders import NAMES, in_shards

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
errors = pytest.importorskip("huggingface_hub.errors")
COMMIT, OLDER = "a" * 40, "b" * 40


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The cached files of a repository whose branch main is `COMMIT`; the network is cut off."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "cache" / "models--some--vit"
    for commit in (COMMIT, OLDER):
        (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


def test_the_commit_that_a_revision_stood_for_is_told(repository, tmp_path, capsys):
    write_tiny("vit", repository / "model.safetensors")
    write_tiny("vit", repository / "tiny.npz")
    for address in ("hf://some/vit", "hf://some/vit@main", f"hf://some/vit@{COMMIT}"):
        loaded = load(f"vit:{address}:model.safetensors", heads=HEADS)
        assert loaded.place.address == f"hf://some/vit@{COMMIT}:model.safetensors"
        assert loaded.summary().endswith(f"from {loaded.place.address}")
    assert locate("hf://some/vit").path.name == "model.safetensors"
    named = f"hf://some/vit@{COMMIT}:tiny.npz"
    folder = tmp_path / "imported"
    assert main(["weights", "import", f"vit:{named}", "--heads=2", f"--out={folder}"]) == 0
    assert f"from {named}" in capsys.readouterr().out
    assert named in json.loads((folder / "weights.json").read_text())["sources"][0]["what"]
    assert main(["weights", "inspect", "hf://some/vit:tiny.npz", GIVEN]) == 0
    out = tmp_path / "x.npz"
    words = ["hf://some/vit:tiny.npz", "--as=vit", f"--out={out}", "--heads=2"]
    assert main(["weights", "export", f"vit:{words[0]}", *words[1:]]) == 0
    assert named in Path(f"{out}.md").read_text()


def test_a_model_in_shards_is_read_as_a_whole(repository):
    repository.rmdir()
    in_shards(repository)
    loaded = load("mvd_finetuned:hf://some/vit", heads=HEADS)
    assert loaded.place.address == f"hf://some/vit@{COMMIT}:model.safetensors.index.json"
    (repository / NAMES[1]).unlink()
    with pytest.raises(UserError, match="hf://some/vit: is not in the local cache, and the Hub"):
        locate("hf://some/vit")


REFUSED = {
    "hf://vit": "write hf://OWNER/NAME",
    "hf://some/vit/tiny.npz": "write hf://OWNER/NAME",
    "hf://": "write hf://OWNER/NAME",
    "hf://../vit:x.npz": "write hf://OWNER/NAME",
    "hf://some/vit:other.npz": "is not in the local cache, and the Hub cannot be reached",
    "hf://some/vit@other:a.npz": "is not in the local cache, and the Hub cannot be reached",
    "hf://some/other": "is not in the local cache, and the Hub cannot be reached",
    "hf://some/vit:../a.npz": "cannot be fetched",
    "hf://some/vit": "say which file, as hf://.*there is a.npz, b.npz",
}


@pytest.mark.parametrize("address", REFUSED)
def test_what_cannot_be_fetched_is_one_line(address, repository):
    for name in ("a.npz", "b.npz"):
        (repository / name).write_bytes(b"x")
    with pytest.raises(UserError, match=REFUSED[address]) as caught:
        fetch(address)
    assert str(caught.value).startswith(f"{address}: ") and "\n" not in str(caught.value)


def test_a_file_that_the_repository_has_not_is_told(repository, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise errors.EntryNotFoundError("404")

    told = SimpleNamespace(sha=COMMIT, siblings=[SimpleNamespace(rfilename="b.npz")])
    monkeypatch.setattr(hub.HfApi, "model_info", lambda *_, **__: told)
    monkeypatch.setattr(hub, "hf_hub_download", missing)
    with pytest.raises(UserError, match="the repository has no file 'a.npz' at 'v1'"):
        fetch("hf://some/vit@v1:a.npz")


def test_without_the_extra_the_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "huggingface_hub":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install huggingface_hub"):
        fetch("hf://some/vit:a.npz")


def _student(spec):
    return load_student(spec, tiny_config(tables.find("surgvista")).model)


def _teacher(spec):
    encoder = tiny_config(tables.find("endossl"))
    return load_teacher(spec, TeacherConfig(encoder.transformer, spec, encoder.patch))


def _classifier(spec):
    told = {"classes": tuple("abcde"), "task": "phase", "fps": 1.0, "label_kind": "single"}
    return load_classifier(spec, told)


# What asks for weights -> a table of what it reads, and the function that each such command calls.
ASKED = {
    "pretrain --config.init": ("surgvista", _student),
    "pretrain --config.teacher.weights": ("endossl", _teacher),
    "finetune --config.init": ("mvd", lambda spec: read_backbone(spec, None)),
    "features --init": ("mvd_finetuned", lambda spec: (seen_by(spec), read_backbone(spec, None))),
    "predict --checkpoint": ("mvd_finetuned", _classifier),
    "weights export": ("mvd", read_checkpoint),
    "bench weights": ("mvd", lambda spec: load_backbone(locate(spec))),
}


@pytest.mark.parametrize("command", ASKED)
def test_wherever_weights_are_asked_for_they_may_lie_on_the_hub(command, repository):
    table, read = ASKED[command]
    arrays = random_arrays(tables.find(table).entries(tiny_config(tables.find(table))))
    save_file(arrays, repository / "x.safetensors", metadata={"heads": json.dumps(HEADS)})
    for address in ("hf://some/vit", "hf://some/vit:x.safetensors", f"hf://some/vit@{COMMIT}"):
        read(f"{table}:{address}")
    for address in ("hf://some/vit@other", "hf://some/other:x.npz"):
        with pytest.raises(UserError) as caught:
            read(f"{table}:{address}")
        wanted = f"{address}: is not in the local cache, and the Hub cannot be reached"
        assert str(caught.value) == wanted


@pytest.mark.parametrize("command", ASKED)
def test_without_the_extra_each_of_them_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"^hf://some/vit: .* pip install huggingface_hub"):
        ASKED[command][1]("hf://some/vit")


def test_a_configuration_takes_an_address_as_it_is(tmp_path):
    config = tiny_run.make_config(tmp_path / "config.py", tmp_path)
    address = f"mvd:hf://some/vit@{COMMIT}:a/x.npz#model"
    words = [f"--config.init={address}", f"--config.teacher.weights={address}"]
    values = load_config(str(config), PretrainConfig, words)
    assert values.init == values.teacher.weights == address
