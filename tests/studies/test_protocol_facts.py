"""Is what a reader asks of a score answered as the files of its run say?"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.metrics import scores
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.studies import protocol_facts
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.page import study_page
from surgvista_jax.studies.report import build_study_report
from tests.support.study_folder import make_study


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


def test_how_a_score_is_averaged_is_seen_from_it() -> None:
    generator = np.random.default_rng(0)
    of_classes = generator.random((6, 3))
    part, whole = generator.integers(1, 9, 6), np.array([9, 12, 20, 10, 11, 30])
    about = [
        (scores.mean_of_videos("a", "A", of_classes[:, 0]), "mean over videos"),
        (scores.classes_then_videos("a", "A", of_classes), "mean over videos"),
        (
            scores.videos_then_classes("a", "A", of_classes),
            "mean over videos of each class, then over classes",
        ),
        (scores.ratio("a", "A", part, whole), "samples of all videos pooled"),
        (
            scores.pairs("a_pairs", "A", of_classes),
            "mean over all pairs of video and class",
        ),
    ]
    for score, expected in about:
        assert protocol_facts.averaging(score) == expected


def test_what_the_checkpoint_says_is_told(whole: Path) -> None:
    said = {
        "fps": 5.0,
        "clip": {"num_frames": 16, "stride": 10, "size": 224, "sampling": "uniform"},
        "head": {"pool": "class"},
        "init_digest": "a1" * 32,
        "made_splits": {"train": ["a"]},
        "sources": [{"what": "data: near (5 videos, 750 frames at 1 a second)"}],
    }
    found = build_study_report(collect(whole), samples=20, about=lambda folder: said)
    answers = {
        item["question"]: item["answers"][0]["answer"] for item in found["panels"][0]["facts"]
    }
    assert answers["Clip"] == "16 frames spread over the whole video, 224 pixels a side"
    assert answers["Sees"] == "the whole video, before and after each moment"
    assert answers["Pooling"] == "the class token"
    assert answers["Training samples"] == "5 videos, 750 frames at 1 a second"
    assert answers["Split"].endswith("(8 videos); the run made the splits itself")
    assert answers["Started from"] == "pretraining A-teacher (sha256 a1a1a1a1a1a1a1a1…)"
    assert answers["Rate"].startswith("labelled frames: 5 a second")
    assert answers["Parameters selected on"].startswith("split 'val', or videos held out")
    assert answers["Smoothing of predictions"] == "none"
    page = study_page(found)
    assert "Accuracy: mean over videos<br>Precision, Recall, Jaccard: mean over videos of" in page


def test_how_long_was_trained_and_what_chose(whole: Path) -> None:
    """In each mode; by splits of the dataset, by those that a run made, by held-out videos."""
    study = collect(whole)
    run = read_runs([str(study.cells[0].folder)], find("phase-strict"), ReadingOptions())[0]
    budget = {"batch_size": 16, "steps": None, "epochs": 12.5}
    probe = {"epochs": 20, "learning_rates": "3e-4,1e-3", "weight_decays": "0,1e-3,1e-1"}

    def told(mode="linear", about=None, config=None, **result) -> dict[str, str]:
        cell = study.cells[0]
        config = (
            cell.config | {"budget": budget, "probe": probe, "head": {"heads": 6}} | (config or {})
        )
        cell = dataclasses.replace(cell, mode=mode, config=config, result=cell.result | result)
        return protocol_facts.facts(cell, run, find("phase-strict"), about or {})

    assert told()["Trained"] == (
        "a linear layer on frozen features: 20 epochs; best of 2 learning rates x 3 weight decays,"
        " and of the epochs"
    )
    one = {"probe": {"epochs": 9, "learning_rates": "1e-3", "weight_decays": 0.0}}
    assert told(config=one)["Trained"] == "a linear layer on frozen features: 9 epochs"
    attentive = told("attentive")
    assert attentive["Pooling"] == "a learned query by cross-attention (6 heads)"
    assert attentive["Trained"].endswith("frozen tokens: 12.5 epochs, 16 samples a step")
    assert told("full")["Trained"].startswith("all parameters are finetuned: 12.5 epochs")
    key = "Parameters selected on"
    own = {"selection_from": "val", "selection_videos": 8}
    assert told(**own)[key] == "8 videos of split 'val', by accuracy"
    made = {"made_splits": {"val": ["a"]}}
    assert "split 'val', which the run made, by" in told(about=made, **own)[key]
    own["selection_from"] = "held-out train"
    assert told(**own)[key] == "8 videos of the training split, held out, by accuracy"
    assert told(selected_on="test", **own)[key].startswith("8 videos of test (THE TEST VIDEOS)")
    assert told(selected_on="last")[key] == "nothing: the last step"
