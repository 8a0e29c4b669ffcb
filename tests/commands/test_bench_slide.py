"""Does the comparison give each way the same clips, then the same time, and tell all of it?"""

import faulthandler
import json
import pickle

import flax.linen as nn
import jax
import ml_collections
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import bench_slide
from surgvista_jax.config import build, load_config
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.studies import places, slide_runs
from surgvista_jax.studies.running import Outcome
from surgvista_jax.studies.states import note_definition
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining import held_out
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import make_pretraining
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
        student = workdir.parents[2].name
        assert values.mode == "linear" and values.init == str(tmp_path / "out/pretrain" / student)
        workdir.mkdir(parents=True)
        (workdir / "result.json").write_text(json.dumps({"test": 0.5 + 0.1 * values.seed}))

    def run_one(out, run):
        note_definition(out, run)
        command, config, workdir, *overrides = run.words
        folder = out / run.folder
        assert workdir == f"--workdir={folder}"
        program, cls = {
            "pretrain": (pretrain, PretrainConfig),
            "finetune": (probe, FinetuneConfig),
        }[command]
        words = [word for word in overrides if word.startswith("--config.")]
        program(load_config(config.removeprefix("--config="), cls, words), folder)

    def run_jobs(jobs, asked, out, places, tell):
        assert jobs == asked and [place.cores for place in places] == [(0,), (1,)]
        for run in [run for job in jobs for run in job.runs]:
            if not (out / run.folder).exists():
                run_one(out, run)
        return Outcome()

    def losses(self, runs):
        return [float(run.name[-1]) + 1.25 for run in runs], "GPU"  # by the seed

    monkeypatch.setattr(slide_runs, "run_jobs", run_jobs)
    monkeypatch.setattr(bench_slide.Study, "held_out_losses", losses)
    monkeypatch.setattr(places, "_cores", lambda: [0, 1])
    call = ["bench", "slide", f"--config={config}:none", "--data", str(dataset)]
    return [*call, "--out", str(tmp_path / "out"), "--seeds", "2", "--jobs", "2"], runs


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
    assert all(line["pixel_loss"] == [1.25, 2.25] for line in lines)


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


def test_a_run_that_fails_is_one_line_and_the_rest_is_there_at_the_next_start(
    words, monkeypatch, capsys
):
    call, runs = words
    whole, broken = slide_runs.run_jobs, "pretrain/slide2-equal-clips-seed0"

    def failing(jobs, asked, *more):
        good = [job for job in jobs if "slide1" in job.name]
        whole(good, good, *more)
        return Outcome(failed={broken: "crashed (SIGSEGV); its log says more"})

    monkeypatch.setattr(slide_runs, "run_jobs", failing)
    assert main([*call, "--ways", "1", "2"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{broken}: crashed (SIGSEGV); its log says more; the same command goes on" in said
    assert [run[:3] for run in runs] == [(1, 1, 0), (1, 1, 1)]
    monkeypatch.setattr(slide_runs, "run_jobs", whole)
    assert main([*call, "--ways", "1", "2", "--json"]) == 0
    assert [run[:3] for run in runs] == [(1, 1, 0), (1, 1, 1), *[(2, 1, 0), (2, 1, 1)] * 2]


def test_what_was_told_to_stop_says_so_by_its_status(words, monkeypatch):
    call, _ = words
    monkeypatch.setattr(slide_runs, "run_jobs", lambda *_: Outcome(stopped=True))
    assert main([*call, "--ways", "1", "2"]) == TOLD_TO_STOP


def test_runs_of_another_configuration_are_one_line(words, capsys):
    call, runs = words
    assert main([*call, "--ways", "1"]) == 0
    assert main([*call, "--ways", "1", "--config.optim.learning_rate=0.5"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "seed0: was begun otherwise: optim.learning_rate was 0.01, is 0.5; take another" in said
    assert len(runs) == 2


def test_runs_of_another_dataset_are_one_line(words, tmp_path, capsys):
    call, runs = words
    assert main([*call, "--ways", "1"]) == 0
    other = make_dataset(tmp_path / "other")
    about = json.loads((tmp_path / "dataset/dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(about | {"name": "another"}))
    given = call.index("--data") + 1
    assert main([*call[:given], str(other), *call[given + 1 :], "--ways", "1"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "holds runs of another dataset" in said and f"--data={other}" in said
    assert len(runs) == 2


def test_what_measures_a_loss_and_crashes_is_one_line(tmp_path, monkeypatch):
    dataset = make_dataset(tmp_path / "dataset")
    study = bench_slide.Study(ml_collections.ConfigDict(), "", dataset, tmp_path, [])
    monkeypatch.setattr(bench_slide.Study, "test_videos", lambda self: None)
    monkeypatch.setattr(bench_slide.Study, "config", lambda self, way: None)
    monkeypatch.setattr(bench_slide, "Job", lambda *_: True)
    monkeypatch.setattr(bench_slide, "in_a_process", faulthandler._sigsegv)
    with pytest.raises(UserError, match=r"measuring held-out losses crashed \(SIGSEGV\)"):
        study.held_out_losses([])


def test_losses_are_of_the_same_clips_and_masks_for_all(tmp_path, monkeypatch):
    """The same parameters have the same loss, and others another one."""
    dataset = make_dataset(tmp_path / "dataset")
    config = make_config(tmp_path / "config.py", dataset)
    values = load_config(f"{config}:none", PretrainConfig)
    study = bench_slide.Study(values, "", dataset, tmp_path, [])
    shapes = nn.unbox(jax.eval_shape(make_pretraining(build(PretrainConfig, values)).init_trained))

    def params(run):
        rng = np.random.default_rng(len(run.name))
        return jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)

    monkeypatch.setattr(held_out, "restore_params", params)
    runs = [tmp_path / name for name in ("a", "b", "other")]
    job = held_out.Job(study.config(bench_slide.Way(1, 1)), runs, read_dataset(dataset), 2)
    # As it reaches the process that computes.
    first, same, other = held_out.held_out_losses(pickle.loads(pickle.dumps(job)))
    assert first == same > 0 and other != first


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--ways", "8y4"], "--ways 8y4: should be SLIDE or SLIDExMASKS"),
        (["--ways", "9" * 5000], "9: should be SLIDE or SLIDExMASKS"),
        (["--ways", "0"], "--ways 0: should be SLIDE or SLIDExMASKS"),
        (["--seeds", "0"], "--seeds=0: at least 1"),
        (["--jobs", "3"], "--jobs=3: 2 cores are here"),
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
