"""Do weights that lie elsewhere, and hold the same, leave all runs of a study as they are?"""

import hashlib
import json

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.json_object import read_object
from surgvista_jax.studies import contents
from surgvista_jax.studies.cells import Backbone, grid
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.contents import Contents
from surgvista_jax.studies.plan import plan
from surgvista_jax.studies.states import note_definition, state_of
from surgvista_jax.writing import write_json
from tests.studies.test_plan import configs, data, student

MODES = ["full", "temporal"]


def runs_of(out, spec, begins=True):
    """The runs of a study of given weights, which are its student's teacher too."""
    known = Contents(out, begins, print)
    backbones = [Backbone(name="given", start=spec), student(**{"teacher.weights": spec})]
    jobs = plan(grid(backbones, [data()], MODES, 1), out, configs, known)
    known.remember()
    return [run for job in jobs for run in job.runs]


def begin(out, spec, first=False):
    """Notes what runs are begun as, or those alone that need no other, and makes their folders."""
    for run in runs_of(out, spec):
        if first and any(
            key.startswith(("from features", "from pretrain")) for key in run.definition.values
        ):
            continue
        (out / run.folder).mkdir(parents=True, exist_ok=True)
        note_definition(out, run)


def stale(out, spec, begins=True):
    return {
        run.folder: state.why
        for run in runs_of(out, spec, begins)
        if (state := state_of(out, run)).why
    }


@pytest.fixture
def begun(tmp_path):
    """The folder of a study that has begun with a file of weights."""
    file, out = tmp_path / "w.pth", tmp_path / "study"
    file.write_bytes(b"weights")
    begin(out, f"mvd:{file}#model")
    return file, out


def test_moved_weights_make_nothing_stale_and_others_all_that_follows(begun, tmp_path):
    file, out = begun
    moved = file.rename(tmp_path / "moved.pth")
    for begins in (False, True):  # a dry run, too
        assert stale(out, f"mvd:{moved}#model", begins) == {}
    assert set(stale(out, f"mae:{moved}#model")) == set(stale(out, f"mvd:{moved}#ema"))
    moved.write_bytes(b"others!")  # of the same size
    found = stale(out, f"mvd:{moved}#model", begins=False)
    assert found["features/given/one"] == "init is another one"
    assert found["pretrain/student"] == "teacher.weights is another one"
    assert len(found) == len(runs_of(out, f"mvd:{moved}#model")) == 7


def test_weights_that_are_gone_or_come_later_make_nothing_stale(begun, tmp_path):
    file, out = begun
    file.unlink()
    assert stale(out, f"mvd:{file}#model") == {}
    late, out = tmp_path / "late.pth", tmp_path / "other"
    begin(out, str(late), first=True)  # and fail, and leave their folders
    late.write_bytes(b"weights")
    assert stale(out, str(late)) == {}
    assert [state_of(out, run).name for run in runs_of(out, str(late))].count("begun") == 3


def test_a_file_is_read_once_for_all_and_not_before_a_study_begins(
    begun, tmp_path, monkeypatch, capsys
):
    file, out = begun
    read = []
    monkeypatch.setattr(contents, "_LARGE", 1)
    monkeypatch.setattr(contents, "sha256_of_files", lambda path: read.append(path) or "0" * 64)
    assert stale(out, f"mvd:{file}#model") == {} and read == []
    runs_of(tmp_path / "new", str(file), begins=False)
    assert read == [] and not (tmp_path / "new").exists()
    runs_of(tmp_path / "new", str(file))
    assert read == [file]
    assert capsys.readouterr().out == f"{file}: reading it once, for its digest\n"
    assert read_object(tmp_path / "new/definitions/weights.json")[str(file)]["size"] == 7


def test_folders_are_told_by_the_digests_that_were_noted_in_them(tmp_path):
    run, out = tmp_path / "run", tmp_path / "study"

    def content():
        return Contents(out, True, print)(str(run))["sha256"]

    for step, noted in ((9, "of the ninth"), (10, "of the tenth")):
        file = run / "checkpoints" / str(step) / "digests" / "metadata"
        file.parent.mkdir(parents=True)
        file.write_text(noted)
    assert content() == hashlib.sha256(b"of the tenth").hexdigest()
    best = run / "best" / "checkpoints" / "3" / "digests" / "metadata"
    best.parent.mkdir(parents=True)
    best.write_text("of the best")
    assert content() == hashlib.sha256(b"of the best").hexdigest()


def test_the_report_knows_runs_of_weights_that_were_moved(tmp_path, capsys):
    file, out, weights = tmp_path / "mine.py", tmp_path / "study", tmp_path / "w.pth"
    weights.write_bytes(b"weights")
    file.write_text(
        "from ml_collections import ConfigDict\n"
        "from surgvista_jax.studies.cells import Backbone, Data, grid\n"
        "def get_config():\n"
        "    return ConfigDict({'weights': ''})\n"
        "def study(config):\n"
        "    config_file = 'configs/finetune/cholec80.py'\n"
        "    one = Data(name='one', task='phase', config=config_file, folder='nowhere')\n"
        "    return grid([Backbone(name='given', start=config.weights)], [one], ['full'], 1)\n"
    )
    words = ["study", str(file), f"--out={out}"]
    assert main([*words, f"--config.weights=mvd:{weights}", "--commands"]) == 0
    before = read_object(out / "study.json")["cells"][0]["definition"]
    late, other = tmp_path / "late.pth", [*words[:2], f"--out={tmp_path / 'other'}", "--commands"]
    other.append(f"--config.weights={late}")
    assert main(other) == 0  # on a machine that has no such file
    (cell,) = collect(tmp_path / "other").cells
    for name in ("config.json", "result.json"):
        write_json(cell.folder / name, {"score": "accuracy"})
    cell.predictions.touch()
    late.write_bytes(b"weights")
    assert main(other) == 0 and [cell.lacks for cell in collect(tmp_path / "other").cells] == [""]
    moved = weights.rename(tmp_path / "moved.pth")
    assert main([*words, f"--config.weights=mvd:{moved}", "--commands"]) == 0
    assert read_object(out / "study.json")["cells"][0]["definition"] == before
    capsys.readouterr()
    assert main([*words, f"--config.weights=mvd:{moved}", "--dry-run", "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    assert job["runs"][0]["digest"] == before
    again = moved.rename(tmp_path / "again.pth")  # whose digest a plan keeps, for those to come
    assert main([*words, f"--config.weights=mvd:{again}", "--dry-run"]) == 0
    assert str(again) in read_object(out / "definitions" / "weights.json")
    capsys.readouterr()
    assert main([*words, "--config.weights=mvd:gone.pth", "--dry-run"]) == 0
    told = capsys.readouterr().out
    for missing in ("mvd:gone.pth", "nowhere"):
        assert f"no such file or folder here, and needed: {missing}\n" in told
    assert main([*words, "--config.weights=hf://owner/name", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["not_here"] == ["nowhere"]


def test_of_shards_each_counts(tmp_path):
    index, shards = tmp_path / "model.safetensors.index.json", []
    for number in (1, 2):
        shards.append(tmp_path / f"model-{number:05d}-of-00002.safetensors")
        shards[-1].write_bytes(b"weights")
    index.write_text(json.dumps({"weight_map": {"a": shards[0].name, "b": shards[1].name}}))

    def content():
        return Contents(tmp_path / "study", True, print)(str(tmp_path))["sha256"]

    lines = (f"{shard.name} {hashlib.sha256(shard.read_bytes()).hexdigest()}\n" for shard in shards)
    before = content()
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    shards[1].write_bytes(b"others!")
    assert content() != before
