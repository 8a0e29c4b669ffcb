"""Finetuning and predictions are timed without any data, by the programs that runs compile."""

import json

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.training import benchmarks
from surgvista_jax.training.compiled_step import CompiledStep
from tests.support.compiled_once import compiled_once  # noqa: F401
from tests.support.finetune_run import make_config, make_dataset
from tests.support.footage import write_video

ONE_BLOCK = ["--config.model.encoder.transformer.depth=1"]


@pytest.fixture
def config(tmp_path):
    return make_config(tmp_path / "config.py", tmp_path / "no data")


def test_finetuning_is_measured_beside_the_machines_own_matrix_product(config, capsys):
    assert main(["bench", "finetune", f"--config={config}", *ONE_BLOCK, "--steps=2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["clips_per_second"] == pytest.approx(8000 / result["step_ms"])
    assert result["compile_seconds"] > 0 and result["compile_again_seconds"] > 0
    assert result["program_mib"] > 0 and result["matrix_tflops"] > 0 and result["mfu"] is None


def test_predictions_are_measured_for_batches_a_frame_and_a_video(config, tmp_path, capsys):
    video = write_video(tmp_path / "video.mp4", num_frames=50)
    words = ["bench", "predict", f"--config={config}", *ONE_BLOCK]
    words += [f"--video={video}", "--fps=5"]
    assert main([*words, "--batch-size=16", "--steps=2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["clips_per_second"] == pytest.approx(16000 / result["step_ms"])
    assert result["one_clip_ms"] > 0 and result["program_mib"] > 0
    assert 0 < result["live_ms_p50"] <= result["live_ms_p99"] <= result["live_ms_max"]
    assert result["live_dropped"] >= 0
    assert result["video_seconds"] == 2.0 and result["video_times_real_time"] > 0
    assert result["decode_times_real_time"] > 0 and result["decode_share"] > 0
    assert result["host_peak_mib"] >= result["host_before_mib"] > 0
    assert result["video_cpu_seconds"] > 0
    print(benchmarks.as_table(result))
    table = capsys.readouterr().out
    assert "one clip (median)" in table and "x real time" in table


@pytest.mark.parametrize(
    "words, said",
    [
        (["bench", "finetune", "--steps=0"], "--steps=0"),
        (["bench", "finetune", "--config.mode=linear"], "config.mode='linear'"),
        (["bench", "finetune", "--config.budget.batch_size=9"], "batch_size=9"),
        (["bench", "predict", "--batch-size=0"], "--batch-size=0"),
        (["bench", "predict", "--batch-size=9"], "--batch-size=9"),
        (["bench", "predict", "--fps=0"], "--fps=0"),
    ],
)
def test_mistakes_are_one_line(config, capsys, words, said):
    assert main([*words, f"--config={config}"]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_what_is_measured_is_what_a_run_compiles(config, tmp_path, monkeypatch, capsys):
    """The same text before compilation, to the last constant; the run ends where it would begin."""
    texts = []

    def lower(self, *args):
        texts.append(original(self, *args).as_text())
        raise UserError("that is all")

    original = CompiledStep.lower
    monkeypatch.setattr(CompiledStep, "lower", lower)
    monkeypatch.setattr(benchmarks, "_CLIPS", 45)  # the labelled ones of training
    folder = make_dataset(tmp_path / "data")
    words = [f"--config={config}", f"--config.data.folder={folder}"]
    assert main(["bench", "finetune", *words, "--classes=3"]) == 1
    assert main(["finetune", *words, f"--workdir={tmp_path / 'run'}"]) == 1
    assert "that is all" in capsys.readouterr().err
    assert len(texts) == 2 and texts[0] == texts[1]
