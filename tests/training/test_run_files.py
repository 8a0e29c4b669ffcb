"""A run takes over no folder in which somebody else's files are in the place of its own."""

import json
import os

import ml_collections
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.ownership import RECORD
from surgvista_jax.training.run_files import check_run, is_run, ownership, seeds_ownership
from surgvista_jax.training.rundir import claim
from surgvista_jax.writing import write_text
from tests.training.test_rundir import CONFIG, Settings

WHOLE = ("result.json", "predictions.npz", "report/report.md")


def begin(folder, overwrite=False):
    owned = ownership(folder, overwrite)
    claim(folder, CONFIG, Settings, "pretraining", (), owned, WHOLE)
    return owned


def put(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")
    return path


GROWING = (
    *("metrics.jsonl", "evaluations.jsonl", "skipped_steps.jsonl", "unreadable_frames.1.jsonl"),
    "figures/reconstruction_00000100.png",
)


@pytest.mark.parametrize("name", [*WHOLE, "config.json", *GROWING])
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_in_the_way_is_named_and_stays_unless_it_shall_not(name, linked, tmp_path):
    work = tmp_path / "work"
    path = put(work, name)
    if linked:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"{name}: is there already .*; --overwrite"):
        begin(work)
    assert path.read_text() == "theirs" and os.listdir(work) == [name.partition("/")[0]]
    others = put(work, "figures/mine.png"), put(work, "notes.txt"), put(work, "report/mine.md")
    owned = begin(work, overwrite=True)
    write_text(work / "result.json", "ours", owned)
    assert is_run(work) and all(other.read_text() == "theirs" for other in others)
    assert not (work / name).exists() if name in GROWING else (work / name).exists()


@pytest.mark.parametrize("name", ["checkpoints/10/params", "best/x", "checkpoints"])
def test_checkpoints_of_others_are_never_touched(name, tmp_path):
    path = put(tmp_path, name)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"is there already .*; take another --workdir"):
            begin(tmp_path, overwrite)
    assert path.read_text() == "theirs" and len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "figures/x_00000010.png"])
def test_a_run_adds_nothing_through_a_link(name, tmp_path):
    run, theirs = tmp_path / "run", tmp_path / "theirs"
    claim(run, CONFIG, Settings, "pretraining", ())
    (run / "figures").mkdir()
    (run / name).rename(theirs) if name == "config.json" else theirs.write_text("")
    (run / name).symlink_to(theirs)
    before = theirs.read_text()
    with pytest.raises(UserError, match=f"{name}: is a link, .*move it away"):
        claim(run, CONFIG, Settings, "pretraining", ())
    assert (run / name).is_symlink() and theirs.read_text() == before


def test_of_several_processes_the_first_keeps_the_record(tmp_path, monkeypatch):
    for process in (0, 1):
        monkeypatch.setattr("jax.process_index", lambda process=process: process)
        assert ownership(tmp_path, False).notes == (process == 0)


def test_a_model_of_another_program_keeps_its_configuration(tmp_path):
    mode, mask = {"mode": "train", "data": "/data", "seed": 1}, {"mask": 0.5, "data": {}}
    for values in ({"model_type": "vit"}, {"kind": "vision"}, [], {"mode": "train"}, mode, mask):
        (tmp_path / "config.json").write_text(json.dumps(values))
        with pytest.raises(UserError, match=r"config.json: is there already"):
            begin(tmp_path)
        assert json.loads((tmp_path / "config.json").read_text()) == values


def test_a_run_goes_on_and_what_it_wrote_it_writes_again_unless_it_was_edited(tmp_path):
    for text in ("one", "two"):
        owned = begin(tmp_path)
        write_text(tmp_path / "result.json", text, owned)
        (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
        put(tmp_path, "checkpoints/1/params")
        put(tmp_path, GROWING[-1])
    (tmp_path / "result.json").write_text("Two")
    with pytest.raises(UserError, match=r"result.json: is there already"):
        begin(tmp_path)
    put(tmp_path, "predictions.npz")  # somebody's, in a folder of ours
    begin(tmp_path, overwrite=True)
    (tmp_path / "result.json").unlink()
    with pytest.raises(UserError, match=r"predictions.npz: is there already"):
        begin(tmp_path)
    # Not begun: taken over, also by another configuration.
    for name in ("metrics.jsonl", "checkpoints/1/params", "predictions.npz"):
        (tmp_path / name).unlink()
    (tmp_path / "checkpoints" / "1").rmdir()
    other = ml_collections.ConfigDict({**CONFIG.to_dict(), "seed": 7})
    claim(tmp_path, other, Settings, "pretraining", ())


@pytest.mark.parametrize("values", [{"kind": "pretraining"}, {"data": {}}])
def test_a_run_that_an_earlier_version_began_is_known_by_its_configuration(values, tmp_path):
    values = {**CONFIG.to_dict(), **values}
    for name in (*WHOLE, GROWING[-1]):
        put(tmp_path, name)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "config.json").write_text(json.dumps(values))
    for text in ("one", "two"):
        owned = begin(tmp_path)
        for name in WHOLE:
            write_text(tmp_path / name, text, owned)
    (tmp_path / RECORD).unlink()
    assert check_run(ownership(tmp_path, False), WHOLE) == []


def test_the_folder_of_several_seeds_is_theirs_if_the_seeds_are(tmp_path):
    put(tmp_path, "result.json")
    with pytest.raises(UserError, match=r"result.json: is there already"):
        seeds_ownership(tmp_path, False).check([tmp_path / "result.json"])
    (tmp_path / "seed0").mkdir()
    values = {"mode": "full", "data": {}, "seed": 0}
    (tmp_path / "seed0" / "config.json").write_text(json.dumps(values))
    seeds_ownership(tmp_path, False).check([tmp_path / "result.json"])
