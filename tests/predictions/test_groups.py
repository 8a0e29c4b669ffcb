"""Does each video get the group that the file gives it?"""

from pathlib import Path

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.predictions.groups import read_groups


def test_groups_from_csv_and_dataset_folder(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("video,centre\nv1,Bern\nv2,Milan\n")
    assert read_groups(tmp_path / "g.csv", "centre", ["v2", "v1"]) == ["Milan", "Bern"]
    (tmp_path / "g.csv").write_text("\nvideo;centre\nv1;Bern\nv2; BERN \n", encoding="utf-16")
    assert read_groups(tmp_path / "g.csv", "centre", ["v2", "v1"]) == ["BERN", "BERN"]
    with pytest.raises(UserError, match="no centre is given for v3"):
        read_groups(tmp_path / "g.csv", "centre", ["v3"])
    with pytest.raises(UserError, match="columns video and patient are needed"):
        read_groups(tmp_path / "g.csv", "patient", ["v1"])
    (tmp_path / "dataset.json").write_text('{"procedure": "bypass"}')
    (tmp_path / "videos.jsonl").write_text('{"video": "v1", "patient": "p7"}\n')
    assert read_groups(tmp_path, "patient", ["v1"]) == ["p7"]
    assert read_groups(tmp_path, "procedure", ["v1"]) == ["bypass"]
    (tmp_path / "videos.jsonl").write_text("{")
    with pytest.raises(UserError, match="not a dataset folder"):
        read_groups(tmp_path, "patient", ["v1"])
