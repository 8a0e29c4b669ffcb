"""Is each mistake in a study's file one line: the file, the part, and what would be right?"""

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.models.sizes import SIZES
from surgvista_jax.studies.cells import CNNS, Backbone, grid
from surgvista_jax.studies.clips import COUNTED, Clips
from surgvista_jax.studies.costs import Costs
from tests.studies.test_plan import configs, data

# What stands in the place of a right one, and what is said of it.
MISTAKES = {
    "return": [
        ("None", "study() returns None, which is no list of cells"),
        ("grid(*right)[0]", "study() returns Cell(backbone=Backbone(name='b', start='random'"),
        ("{'a': grid(*right)[0]}", "which is no list of cells"),
        ("grid(*right) * 2", "the cell b/d/full/seed0 is there twice"),
        ("sys.exit(0)", "line 9: SystemExit: 0"),
        ("(1 / 0 for _ in 'ab')", "line 9: ZeroDivisionError"),
    ],
    "Data": [
        ("name=['d']", "dataset ['d']: should be letters, digits"),
        ("task='phases'", "dataset d: task='phases': should be one of phase, action, triplet"),
        ("group='foreign'", "dataset d: group='foreign': should be internal, external"),
        ("config=None", "dataset d: config=None: should be a text"),
        ("config='no.py'", "the data 'd': --config=no.py: there is no such file"),
        (
            "changes={'evaluation.protocol': 'mine'}",
            "the data 'd': evaluation.protocol='mine': should be one of cholec80-relaxed-official",
        ),
        ("folder='', made_by='--task=phase'", "made_by='--task=phase': should be a tuple of words"),
        ("made_by=('--task=phase',)", "dataset d: say either its folder or what makes it"),
        ("changes=['a']", "dataset d: changes=['a']: should be a dict of keys and values"),
        ("changes={1: 2}", "dataset d: changes: the key 1 should be a text"),
        ("changes={'a': {1}}", "changes['a']={1}: should be of JSON's kinds"),
        ("changes={'a': 1e999}", "changes['a']=inf: should be of JSON's kinds: finite numbers"),
    ],
    "Backbone": [
        ("start=None", "weights b: start=None: should be [NAME:]FILE, a folder of weights"),
        ("start=''", "weights b: start='': should be [NAME:]FILE"),
        ("size='enormous'", "size='enormous': should be one of small, base, large, huge, resnet50"),
        (
            "start=Pretraining(name='p', config='c', data=('d',))",
            "pretraining p: data=('d',): should be a tuple of datasets, each a Data",
        ),
    ],
    "Cell": [
        ("mode='fulls'", "cell of weights b: mode='fulls': should be one of full, linear"),
        ("seed='../x'", "seed='../x': should be a whole number from 0 on"),
        ("seed=-1", "seed=-1: should be a whole number from 0 on"),
        ("data='d'", "cell of weights b: data='d': should be a Data"),
        ("backbone=None", "cell of weights None: should be letters"),
    ],
}
FILE = """import dataclasses
import sys
from surgvista_jax.studies.cells import *
Data_ = dict(name="d", task="phase", config="configs/finetune/cholec80.py", folder="f")
Backbone_ = dict(name="b", start="random")
def study(config):
    right = [Backbone(**Backbone_)], [Data(**Data_)], ["full"], 1
    cell = dict(backbone=right[0][0], data=right[1][0], mode="full", seed=0)
    return RETURNED
"""


@pytest.mark.parametrize(
    ("what", "text", "said"),
    [(what, text, said) for what, rows in MISTAKES.items() for text, said in rows],
)
def test_it_is_one_line_and_nothing_is_made(what, text, said, tmp_path, capsys):
    file, returned = tmp_path / "mine.py", "grid(*right)"
    lines = FILE
    if what == "return":
        returned = text
    elif what == "Cell":
        returned = f"[Cell(**{{**cell, **dict({text})}})]"
    else:
        lines = lines.replace(f"**{what}_)", f"**{{**{what}_, **dict({text})}})")
    file.write_text(lines.replace("RETURNED", returned))
    for more in ("--dry-run", "--commands"):
        assert main(["study", str(file), f"--out={tmp_path / 's'}", more]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"surgvista: {file}") and said in line
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("size", [*SIZES, *CNNS])
def test_each_size_that_may_be_named_has_hours(size, monkeypatch):
    found = Clips(1000.0, 100.0, 100.0, 1200.0, 1100.0, COUNTED)
    monkeypatch.setattr("surgvista_jax.studies.costs.clips_of", lambda *_: found)
    (cell,) = grid([Backbone(name="b", start="w.pth", size=size)], [data()], ["full"], 1)
    assert Costs(configs, "h100").cell(cell, first=True).hours > 0


@pytest.mark.parametrize("left", ['{"study": "mi', "[]", ""])
def test_a_study_json_that_is_damaged_is_replaced_where_its_owner_says_so(left, tmp_path, capsys):
    file, out = tmp_path / "mine.py", tmp_path / "s"
    file.write_text(FILE.replace("RETURNED", "grid(*right)"))
    words = ["study", str(file), f"--out={out}", "--commands"]
    assert main(words) == 0
    whole = (out / "study.json").read_text()
    (out / "study.json").write_text(left)
    capsys.readouterr()
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "study.json: is there already" in line and "--overwrite replaces it" in line
    assert (out / "study.json").read_text() == left
    assert main([*words, "--overwrite"]) == 0
    assert (out / "study.json").read_text() == whole


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        ("dataset.json", ["--commands"], "s: is a dataset folder; take another --out"),
        ("config.json", ["--stage=data"], "s: is the folder of a run; take another --out"),
        ("", ["--json"], "--json: is of the plan; say --dry-run too"),
        ("", ["--only=1/2"], "--only: is of one stage; say --stage too"),
        ("", ["--jobs=0"], "--jobs=0: at least 1 is needed"),
    ],
)
def test_words_and_folders_that_do_not_fit_are_one_line(file, words, said, tmp_path, capsys):
    study, out = tmp_path / "mine.py", tmp_path / "s"
    study.write_text(FILE.replace("RETURNED", "grid(*right)"))
    out.mkdir()
    if file:
        (out / file).write_text("{}")
    assert main(["study", str(study), f"--out={out}", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(said)
    assert [path.name for path in out.iterdir()] == ([file] if file else [])
