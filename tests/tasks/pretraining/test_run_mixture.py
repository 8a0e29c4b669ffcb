"""A run on several datasets: its weights, its report of what was seen, and what is refused."""

import dataclasses
import json
import shutil

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.data import read_data
from surgvista_jax.tasks.pretraining.own import facts_of_folders
from surgvista_jax.tasks.pretraining.train import pretrain
from tests.support.one_device import on_one_device
from tests.support.tiny_run import make_config, make_dataset

WORDS = [
    *(
        "--config.budget.batch_size=4",
        "--config.budget.steps=6",
        "--config.checkpoint.save_every=3",
    ),
    *("--config.model.encoder.depth=1", "--config.teacher=none"),
    *("--config.loader.threads=1", "--config.data.split=train"),
]
WEIGHTS = '--config.data.mixture={"one": 1, "two": 3}'


def edit(folder, **changes):
    """Changes keys of a dataset.json."""
    file = folder / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def rename(folder, old: str, new: str):
    """Gives a video another id."""
    for name in ("dataset.json", "videos.jsonl"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(f'"{old}"', f'"{new}"'))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """`one` and `two` are of one name, and share video0 and video1; `other` is of another."""
    root = tmp_path_factory.mktemp("mixture")
    for name in ("one", "two", "other"):
        make_dataset(root / name)
    rename(root / "two", "video2", "video7")
    edit(root / "other", name="something else")
    config = make_config(root / "config.py", root / "one")
    config.write_text(config.read_text().replace('"split"', f'"root": {str(root)!r}, "split"'))
    return root


def words_of(root, folders="one,two"):
    return [f"--config={root / 'config.py'}", f"--config.data.folder={folders}", *WORDS]


def load(root, *words, folders="one,two"):
    return load_config(
        str(root / "config.py"), PretrainConfig, [*words_of(root, folders)[1:], *words]
    )


def read(root, *words, folders="one,two"):
    return read_data(build(PretrainConfig, load(root, *words, folders=folders)).data)


@on_one_device()
def test_a_run_tells_what_it_saw_and_goes_on_with_it_exactly(root, tmp_path, capsys):
    words = ["pretrain", *words_of(root), WEIGHTS]
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    assert main([*words, f"--workdir={whole}"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert (
        "data: 2 of 3 videos of two are left out, as one has their operations: video0, video1; "
        "config.data.allow_overlap=true takes them too"
    ) in said
    line = next(line for line in said if line.startswith("seen: "))
    assert line.startswith("seen: one 6 clips of ")
    assert "; two 18 clips of 1 of 1 videos, 1.64 epochs, 75.0% of all (asked 75.0%)" in line
    report = json.loads((whole / "data_seen.json").read_text())
    one, two = report["datasets"]
    assert (report["steps"], one["clips"], two["clips"], two["epochs"]) == (6, 40, 11, 18 / 11)
    assert report["left_out"] == [
        {"dataset": "two", "of": 3, "videos": ["video0", "video1"], "same_as": "one"}
    ]
    shutil.copytree(whole, workdir)
    shutil.rmtree(workdir / "checkpoints" / "6")  # as if killed after its checkpoint of step 3
    (workdir / "data_seen.json").unlink()
    assert main([*words, f"--workdir={workdir}"]) == 0
    both = (workdir / "data_seen.json").read_bytes(), (whole / "data_seen.json").read_bytes()
    assert both[0] == both[1]
    other = WEIGHTS.replace("3", "2")
    assert main([*words, other, f"--workdir={workdir}"]) == 1
    assert "data.mixture.two was 3, is 2" in capsys.readouterr().err
    both_ways = ["--allow-overlap", "--config.data.allow_overlap=false"]
    assert main([*words, *both_ways, f"--workdir={workdir}"]) == 1
    assert "say the opposite: leave one out" in capsys.readouterr().err
    assert main([*words, "--allow-overlap", f"--workdir={workdir}"]) == 1
    assert "was trained with another data" in capsys.readouterr().err


@on_one_device()
def test_a_file_that_no_run_wrote_is_not_replaced(root, tmp_path):
    (tmp_path / "data_seen.json").write_text("mine")
    with pytest.raises(UserError, match="data_seen.json"):
        pretrain(load(root), tmp_path)
    assert (tmp_path / "data_seen.json").read_text() == "mine"


def test_an_overlap_is_left_out_unless_it_is_allowed(root):
    names = [video.video for video in read(root).dataset.videos]
    assert names == ["one/video0", "one/video1", "one/video2", "two/video7"]
    assert len(read(root, "--config.data.allow_overlap=true").dataset.videos) == 6
    both = read(root, folders="one,other")
    assert len(both.dataset.videos) == 6 and not both.remarks()


def test_operations_of_which_it_is_not_known_which_come_twice_are_told_of(root, tmp_path):
    for name in ("cholec80", "m2cai16"):
        shutil.copytree(root / "one", tmp_path / name)
        edit(tmp_path / name, source_format=name)
    (told,) = read(root, f"--config.data.root={tmp_path}", folders="cholec80,m2cai16").remarks()
    assert told.startswith("data: M2CAI16 and Cholec80") and told.endswith("so all are taken")


@pytest.mark.parametrize(
    ("mixture", "said"),
    [
        ('{"one": 1, "tow": 2}', "config.data.mixture.tow: .* no folder 'tow'; did you mean 'two'"),
        ('{"one": 1}', "config.data.mixture: two has no weight"),
        ('{"one": 1, "two": 0}', r"config.data.mixture.two=0: should be above 0"),
        ('{"one": 0, "two": 0}', r"config.data.mixture.one=0: should be above 0"),
        ('{"one": 1, "two": -3}', r"config.data.mixture.two=-3: should be above 0"),
        ('{"one": 1, "two": 1e999}', "config.data.mixture.two=inf: should be a finite number"),
        ('{"one": 1, "two": "2"}', "config.data.mixture.two: should be of type float, not '2'"),
        ('{"one": 1, "two": True}', "config.data.mixture.two: should be of type float, not True"),
        ('{"one": 1, "a.b": 2}', "config.data.mixture: 'a.b' should be a name without a dot"),
        ("{1: 1}", "config.data.mixture: 1 should be a name without a dot"),
        ("3", "config.data.mixture=3: should be names with a value each"),
        ("one", "config.data.mixture=.*: should be names with a value each"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(root, mixture, said):
    with pytest.raises(UserError, match=said) as error:
        read(root, f"--config.data.mixture={mixture}")
    assert "\n" not in str(error.value)


def test_weights_are_said_one_by_one_in_files_of_data_and_in_code(root, tmp_path):
    one_by_one = ["--config.data.mixture.one=1", "--config.data.mixture.two=0.5"]
    config = load(root, *one_by_one)
    assert config.data.mixture.to_dict() == {"one": 1, "two": 0.5}
    file = tmp_path / "run.json"
    file.write_text(json.dumps(config.to_dict()))
    again = load_config(str(file), PretrainConfig, ["--config.data.mixture.two=2"])
    assert build(PretrainConfig, again).data.mixture == {"one": 1.0, "two": 2.0}
    (root / "code.py").write_text(
        (root / "config.py").read_text().replace('"root"', '"mixture": {"one": 1}, "root"')
    )
    assert load_config(str(root / "code.py"), PretrainConfig).data.mixture.one == 1
    file.write_text(json.dumps({"data": {"folder": "one", "mixture": {"a.b": 1}}}))
    with pytest.raises(UserError, match="data.mixture: 'a.b' should be a name without a dot"):
        load_config(str(file), PretrainConfig)


def test_choices_count_what_is_trained_on(root, tmp_path):
    """Not the test videos of several folders, nor an operation twice."""
    shutil.copytree(root / "two", tmp_path / "two")
    edit(tmp_path / "two", splits={"train": ["video0", "video7"], "test": ["video1"]})
    data = build(PretrainConfig, load(root, folders=f"one,{tmp_path / 'two'}")).data
    assert sorted(facts_of_folders(data).lengths) == [9, 11, 11, 20]
    twice = dataclasses.replace(data, allow_overlap=True)
    assert sorted(facts_of_folders(twice).lengths) == [9, 9, 11, 11, 20]
    alone = facts_of_folders(dataclasses.replace(data, folder=str(tmp_path / "two")))
    assert alone.lengths == (9, 11) and set(alone.splits) == {"train", "test"}


def test_a_folder_of_which_nothing_is_left_is_refused(root, tmp_path):
    shutil.copytree(root / "one", tmp_path / "copy")
    folders = f"one,{tmp_path / 'copy'}"
    with pytest.raises(UserError, match="one has all its operations: leave it out of"):
        read(root, folders=folders)
    assert len(read(root, "--config.data.allow_overlap=true", folders=folders).dataset.videos) == 6
