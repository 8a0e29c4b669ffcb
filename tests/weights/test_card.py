"""The model card beside an export: true of the run that made the model, and usable as it is."""

import contextlib
import dataclasses
import json
import re
import shutil

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.dataset import fingerprint
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from surgvista_jax.ownership import sha256_of
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat
from tests.support import finetune_run
from tests.support.one_device import all_on_one_device  # noqa: F401
from tests.support.pretrain_start import teacher_file
from tests.support.tiny_run import make_config, make_dataset
from tests.support.weights_command import refused


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """A student whose teacher came from a file; a classifier that started from it; their cards."""
    folder = tmp_path_factory.mktemp("cards")
    data = read_dataset(make_dataset(folder / "data"))
    write_dataset(dataclasses.replace(data, licence="CC BY 4.0 | noise"))
    config = make_config(folder / "pretrain.py", folder / "data")
    teacher_file(folder / "teacher.npz")
    with contextlib.chdir(folder):
        _run(
            f"pretrain --config={config} --workdir=student --config.budget.steps=2",
            "--config.teacher.weights=teacher.npz --config.clip.slide=2",
            "--config.budget.batch_size=16",
        )
        _run("weights export student --as=surgvista --out=out/student.safetensors")
        finetune = finetune_run.make_config(
            folder / "finetune.py", finetune_run.make_dataset(folder / "colours")
        )
        _run(
            f"finetune --config={finetune} --workdir=classifier --config.init=student",
            "--config.budget.steps=2 --config.model=none --config.select_on=test",
        )
        _run(
            "weights export classifier --as=surgvista_finetuned --out=out/classifier.npz",
            "--metrics=classifier/report/report.json",
        )
    return folder


def _run(*words: str) -> None:
    assert main(" ".join(words).split()) == 0


def test_a_students_card_says_data_steps_configuration_sources_and_input(cards):
    text = (cards / "out/student.safetensors.md").read_text()
    file = cards / "out/student.safetensors"
    assert text.startswith("# student.safetensors\n")
    assert sha256_of(file) in text and "**Not a medical device.**" in text
    words = " ".join(text.split())
    assert (
        "for 2 updates of 16 clips (32 clips, which slide by 2 over the same frames), 50% of the"
        " tokens hidden (tube); seed 3"
    ) in words
    assert "- Data: noise (3 videos, 40 frames at 1 a second)." in text
    assert "4 frames of 32x32 pixels, 2 apart" in words and "(0.485, 0.456, 0.406)" in words
    assert "random parameters and learned from pixels and a frozen teacher, named below" in words
    rows = re.findall(r"^\| (.*?: .*?) \| (.*) \| (\w+) \|$", text, re.MULTILINE)
    data = read_dataset(cards / "data").split("train")
    assert ("data: noise (3 videos, 40 frames at 1 a second)", r"CC BY 4.0 \| noise") == rows[0][:2]
    assert rows[0][2] == fingerprint(data)[:16]
    licence = tables.find("endossl").licence
    assert rows[1][0].startswith("teacher: EndoSSL") and rows[1][0].endswith("teacher.npz")
    assert rows[1][1:] == (licence, sha256_of(cards / "teacher.npz")[:16])
    assert len(rows) == 2
    assert re.search("sha256 of its configuration: `[0-9a-f]{64}`", text)
    numbers = sum(leaf.size for leaf in flat(restore_params(cards / "student")).values())
    assert f"{numbers:,} parameters" in words


def test_a_classifiers_card_has_its_classes_scores_and_what_its_start_was_made_from(cards):
    text = (cards / "out/classifier.npz.md").read_text()
    words = " ".join(text.split())
    assert "Finetuned (full) on colours, task phase (single label), for" in words
    assert "SELECTED ON TEST" in text
    assert "0 red, 1 green, 2 blue." in text
    report = json.loads((cards / "classifier/report/report.json").read_text())
    score = next(entry for entry in report["scores"] if entry["primary"])
    assert f"| {100 * score['value']:.2f} |" in text and report["protocol"]["label"] in words
    for row in (
        "| init: a pretraining run, student |",
        "| init > data: noise (3 videos, 40 frames at 1 a second) | CC BY 4.0",
        "| init > teacher: EndoSSL's image ViT",
        "| data: colours (5 videos, 50 frames at 1 a second) |",
    ):
        assert row in text, row


@pytest.mark.parametrize(
    ("mode", "chosen", "counted", "said"),
    [
        ("linear", "last", "for 20 epochs;", "those of the last epoch: nothing was chosen"),
        ("linear", "val", r"for \d+ epochs?;", "chosen by their score on validation videos"),
        ("full", "last", "for 2 updates;", "those of the last update: nothing was chosen"),
    ],
)
def test_a_card_says_how_the_parameters_were_chosen(mode, chosen, counted, said, cards, tmp_path):
    words = f"--config.mode={mode} --config.select_on={chosen} --config.budget.steps=2"
    if chosen == "last":  # of a sweep nothing else could choose
        words += " --config.probe.learning_rates=3e-2 --config.probe.weight_decays=0"
    with contextlib.chdir(tmp_path):
        _run(f"finetune --config={cards / 'finetune.py'} --workdir=run {words}")
        _run("weights export run --as=surgvista_finetuned --out=x.npz")
    found = " ".join((tmp_path / "x.npz.md").read_text().split())
    assert re.search(counted, found) and said in found
    assert found.count("Its parameters") == 1


def _snippets(folder, name) -> list[str]:
    return re.findall("```python\n(.*?)```", (folder / f"{name}.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("name", ["student.safetensors", "classifier.npz"])
def test_what_a_card_says_of_loading_works(name, cards, monkeypatch):
    monkeypatch.chdir(cards / "out")
    found = {}
    exec(_snippets(cards / "out", name)[0], found)  # what a reader would paste
    assert {"student": "encoder", "classifier": "backbone"}[name.split(".")[0]] in found["params"]


@pytest.mark.parametrize("name", ["student.safetensors", "classifier.npz"])
def test_what_a_card_says_of_pytorch_works(name, cards, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(cards / "out")
    found = {}
    exec(_snippets(cards / "out", name)[1].partition("found =")[0], found)
    assert "blocks.0.mlp.fc1.weight" in found["state"]


def test_a_file_that_was_exported_tells_its_sources_to_the_next(cards, tmp_path):
    heads = "--heads=encoder=2,pixel_decoder=2,feature_decoder=2"
    with contextlib.chdir(tmp_path):
        _run(f"weights import {cards / 'out/student.safetensors'} {heads} --out=imported")
        _run("weights export imported --as=mvd --out=encoder.npz")
    text = (tmp_path / "encoder.npz.md").read_text()
    assert "nothing was trained" in text and "4 frames of 32x32 pixels, 2 apart" in text
    assert "| weights > data: noise (3 videos" in text and "| weights > teacher: EndoSSL" in text
    # Terms are those of what it was made from, not those of whoever invented the names.
    assert tables.find("surgvista").licence not in text


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("clip", "size", None, "damaged or changed: its model and clip"),
        ("clip", "size", 31, "damaged or changed: its model and clip"),
        ("budget", "batch_size", "8", "Cannot specify"),
        ("mask", "ratio", [], "unsupported format"),
    ],
)
def test_a_run_whose_configuration_was_spoilt_is_refused_in_one_line(
    part, key, value, said, cards, tmp_path, capsys
):
    shutil.copytree(cards / "student", tmp_path / "student")
    path = tmp_path / "student" / "config.json"
    config = json.loads(path.read_text())
    config[part].pop(key) if value is None else config[part].update({key: value})
    path.write_text(json.dumps(config))
    line = refused(
        capsys, "export", tmp_path / "student", "--as=surgvista", f"--out={tmp_path / 'x.npz'}"
    )
    assert said in line and str(tmp_path / "student") in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student"]
