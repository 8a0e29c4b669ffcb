"""Does the comparison give each way the same clips, then the same time, and tell all of it?"""

import faulthandler
import json
import pickle
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import bench_slide
from surgvista_jax.config import build, load_config
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining import held_out
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.child import run_program
from tests.support.tiny_run import make_config, make_dataset

# Of one video of 9 frames: by 2, of 10 places for clips 9 are filled.
RATES = {(1, 1): 100.0, (2, 1): 250.0, (2, 4): 50.0}


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A call that trains nothing: runs note what they were asked for and log a speed."""
    dataset = make_dataset(tmp_path / "dataset")
    config = make_config(tmp_path / "config.py", dataset)
    about = json.loads((dataset / "dataset.json").read_text())
    about["splits"] = {"train": ["video0"], "val": ["video2"], "test": ["video1"]}
    (dataset / "dataset.json").write_text(json.dumps(about))
    runs = []

    def pretrain(config, workdir):
        way = config.clip.slide, config.mask.masks_per_clip
        runs.append((*way, config.seed, config.budget.steps))
        workdir.mkdir(parents=True, exist_ok=True)
        speeds = [{"step": 2}, {"step": 4, "clips_per_second": RATES[way]}]
        text = "".join(json.dumps(line) + "\n" for line in speeds)
        (workdir / "metrics.jsonl").write_text(text)

    def probe(values, workdir):
        assert values.mode == "linear" and values.init == str(workdir.parent / "pretraining")
        workdir.mkdir(exist_ok=True)
        (workdir / "result.json").write_text(json.dumps({"test": 0.5 + 0.1 * values.seed}))

    def run(words, folder):
        command, config, workdir, *overrides = words
        assert workdir == f"--workdir={folder}"
        program, cls = {
            "pretrain": (pretrain, PretrainConfig),
            "finetune": (probe, FinetuneConfig),
        }[command]
        program(load_config(config.removeprefix("--config="), cls, overrides), folder)

    monkeypatch.setattr(bench_slide, "run_program", run)
    monkeypatch.setattr(bench_slide.Study, "held_out_loss", lambda self, config, run: (1.25, "GPU"))
    call = ["bench", "slide", f"--config={config}:none", "--data", str(dataset)]
    return [*call, "--out", str(tmp_path / "out"), "--seeds", "2"], runs


def test_ways_are_compared_on_equal_clips_and_in_equal_time(words, capsys):
    call, runs = words
    assert main([*call, "--ways", "1", "2", "2x4", "--json"]) == 0
    assert runs == [
        *((1, 1, seed, 8) for seed in (0, 1)),
        *((2, 1, seed, 9) for seed in (0, 1)),  # of 7.2 clips
        *((2, 4, seed, 9) for seed in (0, 1)),
        *((2, 1, seed, 22) for seed in (0, 1)),  # 2.5 times as fast
        *((2, 4, seed, 4) for seed in (0, 1)),  # half as fast
    ]
    said = json.loads(capsys.readouterr().out)
    lines = said["ways"]
    assert said["device"] == "GPU"
    assert [(line["way"], line["equal"], line["clips"]) for line in lines] == [
        *(("1", "clips", 64), ("2", "clips", 65), ("2x4", "clips", 65)),
        *(("2", "time", 158), ("2x4", "time", 29)),
    ]
    seconds = [line["seconds"] for line in lines if line["equal"] == "time"]
    np.testing.assert_allclose(seconds, 0.64, rtol=0.5 / 4)  # to whole steps
    assert all(line["score"] == [0.5, 0.6] for line in lines)
    assert all(line["pixel_loss"] == [1.25, 1.25] for line in lines)


def test_the_table_has_mean_and_deviation(words, capsys):
    call, _ = words
    assert main([*call, "--ways", "1", "2"]) == 0
    head, *rows, device = capsys.readouterr().out.splitlines()
    assert device == "measured on: GPU"
    assert head.split()[:3] == ["slide", "equal", "clips"] and len(rows) == 3
    assert rows[1].split()[:4] == ["2", "clips", "65", "250"]
    assert all(row.endswith("0.5500 ± 0.0707") for row in rows)
    line = bench_slide.Measured("1", "clips", 64, 100.0, 0.64, [1.25], [0.5], "GPU")
    assert bench_slide.table([line]).endswith("1.2500  0.5000")  # of one seed no deviation


def test_a_run_that_crashes_is_one_line_and_the_rest_is_there_at_the_next_start(
    words, tmp_path, monkeypatch, capsys
):
    call, runs = words
    whole = bench_slide.run_program
    (tmp_path / "crashes.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.chdir(tmp_path)

    def crashing(told, folder):
        if folder.parent.name == "slide2-equal-clips-seed0":
            run_program(told, folder, module="crashes")
        whole(told, folder)

    monkeypatch.setattr(bench_slide, "run_program", crashing)
    assert main([*call, "--ways", "1", "2"]) == 1
    broken = tmp_path / "out" / "slide2-equal-clips-seed0" / "pretraining"
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"surgvista: {broken}: pretrain crashed (SIGSEGV)")
    assert "Segmentation fault" in broken.with_name("pretraining.log").read_text()
    assert [run[:3] for run in runs] == [(1, 1, 0), (1, 1, 1)]
    kept = sorted((tmp_path / "out").glob("slide1-*/*/*"))
    assert len(kept) == 4
    monkeypatch.setattr(bench_slide, "run_program", whole)
    assert main([*call, "--ways", "1", "2", "--json"]) == 0
    assert [line["score"] for line in json.loads(capsys.readouterr().out)["ways"]] == [
        [0.5, 0.6]
    ] * 3
    assert all(path.exists() for path in kept)


def test_what_measures_a_loss_and_crashes_is_one_line(tmp_path, monkeypatch):
    dataset = make_dataset(tmp_path / "dataset")
    study = bench_slide.Study(ml_collections.ConfigDict(), "", dataset, tmp_path)
    monkeypatch.setattr(bench_slide.Study, "test_videos", lambda self: None)
    monkeypatch.setattr(bench_slide, "Job", lambda *_: True)
    monkeypatch.setattr(bench_slide, "in_a_process", faulthandler._sigsegv)
    with pytest.raises(UserError, match=r"run: measuring its held-out loss crashed \(SIGSEGV\)"):
        study.held_out_loss(study.values, Path("run"))


def test_the_loss_is_of_the_same_clips_and_masks_for_all(tmp_path, monkeypatch):
    """The same parameters have the same loss, in whatever way they were trained."""
    dataset = make_dataset(tmp_path / "dataset")
    config = make_config(tmp_path / "config.py", dataset)
    values = load_config(f"{config}:none", PretrainConfig)
    study = bench_slide.Study(values, "", dataset, tmp_path)
    shapes = nn.unbox(jax.eval_shape(make_pretraining(build(PretrainConfig, values)).init_trained))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)
    monkeypatch.setattr(held_out, "restore_params", lambda run: params)
    videos = read_dataset(dataset)
    configs = [
        study.config(bench_slide.Way(*way), 4, seed) for seed, way in enumerate(((1, 1), (8, 4)))
    ]
    jobs = [held_out.Job(config, tmp_path, videos, 2) for config in configs]
    # As they reach the process that computes.
    losses = [held_out.held_out_loss(pickle.loads(pickle.dumps(job))) for job in jobs]
    assert losses[0] == losses[1] > 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--ways", "8y4"], "--ways 8y4: should be SLIDE or SLIDExMASKS"),
        (["--ways", "9" * 5000], "9: should be SLIDE or SLIDExMASKS"),
        (["--ways", "0"], "--ways 0: should be SLIDE or SLIDExMASKS"),
        (["--seeds", "0"], "--seeds=0: at least 1"),
        (["--ways", "1", "8"], "config.clip.slide=8: no video is long enough"),
        (
            ["--config.budget.steps=none", "--config.budget.epochs=1.0"],
            "config.budget.epochs: say --config.budget.steps=N",
        ),
    ],
)
def test_mistakes_are_one_line(words, capsys, more, said):
    call, runs = words
    assert main([*call, *more]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and not runs
