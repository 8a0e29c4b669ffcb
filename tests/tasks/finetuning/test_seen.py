"""Does a finetuning run see the clips that its starting weights saw, unless it is told others?"""

import json

import orbax.checkpoint as ocp
import pytest

from surgvista_jax.config import load_config
from surgvista_jax.inference.seen import seen_by
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.seen import with_seen_clips
from tests.support import feature_run
from tests.support.places import ROOT


@pytest.fixture
def folder(tmp_path):
    """A pretraining run on clips of 8 frames of 64 pixels, 2 apart, at 1 fps."""
    run = tmp_path / "run"
    (run / "checkpoints" / "5" / "params").mkdir(parents=True)
    clip = {"num_frames": 8, "stride": 2, "size": 64, "sampling": "past"}
    (run / "config.json").write_text(json.dumps({"kind": "pretraining", "clip": clip}))
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as writer:
        writer.save(run / "checkpoints" / "5" / "meta", {"fps": 1.0})
    return run


def clips(config: str, *words, workdir=None) -> list[tuple]:
    """clip and image_clip of a shipped configuration with these overrides."""
    overrides = [f"--config.{word}" for word in words]
    values = load_config(str(ROOT / "configs" / config), FinetuneConfig, overrides)
    told = [word.partition("=")[0] for word in words]
    resolved = with_seen_clips(values, told, workdir)
    parts = [resolved.clip, resolved.image_clip]
    return [part and (part.num_frames, part.stride, part.size) for part in parts]


def test_the_recipe_sees_what_the_run_saw(folder, capsys):
    assert clips("finetune/cholec80.py", f"init={folder}") == [(8, 2, 64), (8, 2, 64)]
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        "trained on clips of 8 frames of 64 pixels, 2 apart at 1 fps; taken: clip.num_frames=8"
        in line
    )
    assert clips("probe/cholec80.py", f"init={folder}")[0] == (8, 2, 64)


def test_what_the_user_says_stays(folder, capsys):
    words = (f"init={folder}", "clip.size=224", "clip.num_frames=16")
    assert clips("finetune/cholec80.py", *words)[0] == (16, 2, 224)
    assert "as you say: clip.num_frames=16, clip.size=224" in capsys.readouterr().err
    # So does what a file says other than the recipe: single frames, or 8 frames 20 apart.
    assert clips("finetune/frames.py", f"init={folder}")[0] == (1, 1, 64)
    assert clips("finetune/endoscapes.py", f"init={folder}")[0] == (8, 20, 64)
    assert clips("finetune/synthetic.py", f"init={folder}") == [(4, 2, 64), None]


@pytest.mark.parametrize("seed", ["", "seed0"])
def test_a_run_that_goes_on_keeps_its_clips(seed, folder, tmp_path):
    single = tmp_path / "finetuned" / seed
    single.mkdir(parents=True)
    known = {"num_frames": 16, "stride": 4, "size": 224}
    text = json.dumps({"init": str(folder), "clip": known, "image_clip": None})
    (single / "config.json").write_text(text)
    recipe, workdir = "finetune/cholec80.py", tmp_path / "finetuned"
    assert clips(recipe, f"init={folder}", workdir=workdir)[0] == (8, 2, 64)
    (single / "metrics.jsonl").write_text('{"step": 1}\n')  # an earlier version began it
    assert clips(recipe, f"init={folder}", workdir=workdir)[0] == (16, 4, 224)
    changed = (f"init={folder}", "clip.size=96")
    assert clips(recipe, *changed, workdir=workdir)[0] == (16, 4, 96)


@pytest.mark.parametrize("began", [False, True])
def test_the_configuration_that_is_given_stays_as_it_is(began, folder, tmp_path):
    known = {"num_frames": 16, "stride": 2, "size": 96}
    if began:
        text = json.dumps({"init": str(folder), "clip": known, "image_clip": None})
        (tmp_path / "config.json").write_text(text)
        (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    words = [f"--config.init={folder}"]
    values = load_config(str(ROOT / "configs/finetune/cholec80.py"), FinetuneConfig, words)
    before = values.to_dict()
    resolved = with_seen_clips(values, (), tmp_path)
    assert resolved.clip.size == (96 if began else 64)
    assert values.to_dict() == before


@pytest.mark.parametrize("init", ["", "random", "nowhere", "mvd:nowhere.pth"])
def test_without_a_run_the_recipe_stays(init, capsys):
    assert clips("finetune/cholec80.py", f"init={init}") == [(16, 4, 224), (8, 8, 224)]
    assert not capsys.readouterr().err


def test_clips_span_the_same_seconds_at_another_rate(folder, tmp_path):
    data = feature_run.make_dataset(tmp_path / "data")
    path = data.folder / "dataset.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps(head | {"fps": 5.0}))
    words = (f"init={folder}", f"data.folder={data.folder}")
    assert clips("finetune/cholec80.py", *words)[0] == (8, 10, 64)
    assert clips("finetune/surgicalactions160.py", *words)[0] == (8, 4, 64)  # spread over a video


def test_what_neither_folder_nor_file_tells_is_not_known(tmp_path):
    (tmp_path / "model.pth").touch()
    assert seen_by(str(tmp_path / "model.pth")) is None
