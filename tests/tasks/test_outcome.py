"""What is said of runs whose score is no number?"""

import json

from surgvista_jax.tasks.outcome import RESULT, report_seeds


def test_a_seed_without_a_score_leaves_no_mean(tmp_path):
    folders = [tmp_path / f"seed{seed}" for seed in range(2)]
    for folder, value in zip(folders, (0.5, None), strict=True):
        folder.mkdir()
        values = {"score": "accuracy", "selected_on": "val", "selection": 0.25, "test": value}
        (folder / RESULT).write_text(json.dumps(values))
    said = report_seeds(folders, tmp_path, "").splitlines()
    assert said[0] == "selection accuracy 0.2500 ± 0.0000 (0.2500, 0.2500)"
    assert said[1] == "test accuracy nan ± nan (0.5000, not finite)"
    found = json.loads((tmp_path / RESULT).read_text())
    assert found["test"] == {"mean": None, "std": None, "values": [0.5, None]}
