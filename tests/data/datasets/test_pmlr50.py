"""Is PmLR50 read as its authors distribute it, and its pickles without running anything?"""

import pickle

from surgvista_jax.data.datasets import registry
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal


def frames(folder, count: int, size=(32, 32), name="{:05d}"):
    return footage.write_images(folder, [size] * count, ".jpg", name)


def pmlr50(folder, phases=(0, 4, 2), videos=("1", "2", "03")):
    rows = [{"frame_id": k, "phase_gt": p, "unique_id": k} for k, p in enumerate(phases)]
    for split, video in zip(("train", "val", "test"), videos, strict=True):
        frames(folder / "frames" / video.zfill(2), 4, name="{:08d}")
        path = folder / "labels" / split / f"1fps{split}.pickle"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps({video: rows}))
    return folder


def test_pmlr50_goes_by_the_numbers_of_images(tmp_path):
    source = pmlr50(tmp_path / "pm")
    (source / "frames" / "02" / "00000001.jpg").unlink()
    dataset, said = convert("pmlr50", source, tmp_path / "out")
    assert labels(dataset) == {"01": (0, 4, 2, -1), "02": (0, 2, -1), "03": (0, 4, 2, -1)}
    assert dataset.splits == {"train": ("01",), "val": ("02",), "test": ("03",)}
    assert "labels of 01: 1 of 4 frames have none" in said


def test_pmlr50_as_the_authors_program_makes_its_index_files(tmp_path):
    """It calls what validates test, and what tests infer."""
    source = pmlr50(tmp_path / "pm")
    labels_of = source / "labels"
    (labels_of / "infer").mkdir()
    (labels_of / "test" / "1fpstest.pickle").rename(labels_of / "infer" / "1fpsinfer.pickle")
    (labels_of / "val" / "1fpsval.pickle").rename(labels_of / "test" / "1fpstest.pickle")
    reading = registry()["pmlr50"].read(source)
    assert reading.splits == {"train": ["01"], "val": ["02"], "test": ["03"]}


def test_pmlr50_says_when_files_divide_otherwise_than_published(tmp_path):
    reading = registry()["pmlr50"].read(pmlr50(tmp_path / "pm"))
    assert "val, test hold other videos than the published" in str(reading.notes[-1])
    source = pmlr50(tmp_path / "as published", videos=("1", "48", "38"))
    assert not registry()["pmlr50"].read(source).notes


def test_a_pickle_runs_nothing(tmp_path):
    source = pmlr50(tmp_path / "pm", phases=(0, 7))
    assert "entry 2: phase_gt 7 is not from 0 to 4" in refusal("pmlr50", source, tmp_path / "o")
    path = source / "labels" / "val" / "1fpsval.pickle"
    path.write_bytes(pickle.dumps({"2": [print]}))
    message = refusal("pmlr50", source, tmp_path / "o")
    assert f"{path}: not a pickle of plain values: it holds a builtins.print" in message
    path.write_bytes(b"\x80\x04no")
    assert f"{path}: not a pickle" in refusal("pmlr50", source, tmp_path / "o")
