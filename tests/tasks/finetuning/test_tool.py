"""Does the presence of instruments go all the way from official label files to a report?"""

import json

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.facts.instruments import CHOLEC80
from tests.support import footage
from tests.support.convert_run import convert, labels, write
from tests.support.finetune_run import make_config, meta, predictions, result, run

PROTOCOL = "cholec80-tool"
SECONDS = 121


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four operations in Cholec80's layout, as short as its protocol takes them."""
    folder = tmp_path_factory.mktemp("cholec80")
    rng = np.random.default_rng(0)
    for video in ("video01", "video40", "video41", "video80"):
        footage.write_video(folder / "in" / "videos" / f"{video}.mp4", 25 * SECONDS, size=(32, 32))
        lines = ["\t".join(("Frame", *CHOLEC80))]
        for second in range(SECONDS):
            there = rng.random(7) < 0.4
            there[second % 7] = True  # each instrument in each video
            lines.append("\t".join(map(str, (25 * second, *there.astype(int)))))
        path = folder / "in" / "tool_annotations" / f"{video}-tool.txt"
        write(path, "\n".join(lines) + "\n")
    return convert("cholec80_tool", folder / "in", folder / "out", "--margins", "keep")[0]


def test_official_labels_are_learnt_predicted_and_scored(dataset, tmp_path, capsys):
    config = make_config(tmp_path / "config.py", dataset.folder)
    words = ["model.encoder.transformer.depth=1", "budget.steps=2", "mix.mixup=0.0"]
    words += ["mix.cutmix=0.0", "mix.smoothing=0.0", "evaluation.score=mean_ap"]
    words += [f"evaluation.protocol={PROTOCOL}"]
    assert run(config, tmp_path / "run", *words)
    assert meta(tmp_path / "run")["task"] == "tool"

    words = [str(dataset.folder), f"--checkpoint={tmp_path / 'run'}", "--split=test"]
    words += [f"--out={tmp_path / 'said'}", "--dtype=float32", "--batch-size=16", "--workers=0"]
    assert main(["predict", *words]) == 0
    found = predictions(tmp_path / "said")
    truth = [label for video in ("video41", "video80") for label in labels(dataset)[video]]
    assert [tuple(np.flatnonzero(row)) for row in found["label"]] == truth
    np.testing.assert_array_equal(found["score"], predictions(tmp_path / "run")["score"])

    capsys.readouterr()
    path = str(tmp_path / "said" / "predictions.npz")
    words = [f"--protocol={PROTOCOL}", f"--out={tmp_path / 'report'}", "--json"]
    assert main(["evaluate", path, *words]) == 0
    report = json.loads(capsys.readouterr().out)
    scores = {score["key"]: score["value"] for score in report["scores"]}
    assert report["protocol"]["name"] == PROTOCOL and 0 < scores["mean_ap"] < 1
    # The run's own report, what it selects by, and the command's say one number.
    np.testing.assert_allclose(scores["mean_ap"], result(tmp_path / "run")["test"], rtol=1e-5)
