"""Are the videos of one long sequence told apart as they were, and never by guessing?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.facts.phases import CHOLEC80
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.metrics.protocols import Split
from surgvista_jax.predictions.concatenated import read_lengths, separate
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.predictions.reading import ReadingOptions, read_one
from surgvista_jax.predictions.text_folder import read_folder

LENGTHS = {"video9": 300, "video10": 400, "video11": 500}
STRICT = find("cholec80-strict")


@dataclass(frozen=True)
class Files:
    """Three operations: their truth in a folder and as one file, and predictions as one file."""

    truth: Path
    one_truth: Path
    predictions: Path
    decisions: dict[str, np.ndarray]


def lines(path: Path, labels: np.ndarray) -> Path:
    text = "".join(f"{k} {CHOLEC80[label]}\n" for k, label in enumerate(labels))
    path.write_text(f"Frame Phase\n{text}")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    generator = np.random.default_rng(0)
    (tmp_path / "truth").mkdir()
    labels = {name: np.sort(generator.integers(0, 7, size)) for name, size in LENGTHS.items()}
    decisions = {name: generator.integers(0, 7, size) for name, size in LENGTHS.items()}
    for name, label in labels.items():
        lines(tmp_path / "truth" / f"{name}-phase.txt", label)
    one_truth = lines(tmp_path / "all_truth.txt", np.concatenate(list(labels.values())))
    predictions = lines(tmp_path / "pred.txt", np.concatenate(list(decisions.values())))
    return Files(tmp_path / "truth", one_truth, predictions, decisions)


def read(path: Path, **options) -> Predictions:
    return read_one(str(path), STRICT, ReadingOptions(fps=1, **options))


def same(found: Predictions, decisions: dict[str, np.ndarray]) -> None:
    assert found.videos == tuple(decisions)
    for k, values in enumerate(decisions.values()):
        rows = found.rows(k)
        np.testing.assert_array_equal(found.decision[rows], values)
        np.testing.assert_array_equal(found.frame[rows], np.arange(len(values)))


def test_ground_truth_tells_where_videos_begin(files: Files) -> None:
    for boundaries in ("", "truth"):
        found = read(files.predictions, truth=files.truth, boundaries=boundaries)
        same(found, files.decisions)
        assert any("cut into 3 videos" in note for note in found.notes)


def test_copies_that_lack_the_last_frame_of_each_video(files: Files) -> None:
    shorter = {name: values[:-1] for name, values in files.decisions.items()}
    lines(files.predictions, np.concatenate(list(shorter.values())))
    found = read(files.predictions, truth=files.truth)
    same(found, shorter)
    whole = read_folder(files.truth, "truth", 1, CHOLEC80)
    first = whole.decision[whole.rows(0)][:-1]
    np.testing.assert_array_equal(found.label[found.rows(0)], first)
    assert any("lacks the last frame of each video" in note for note in found.notes)


def test_a_split_on_record_is_found_in_a_longer_truth(files: Files) -> None:
    two = {name: files.decisions[name] for name in ("video9", "video11")}
    lines(files.predictions, np.concatenate(list(two.values())))
    truth = read_folder(files.truth, "truth", 1, CHOLEC80)
    sequence = read_folder(files.predictions, "pred.txt", 1, CHOLEC80)
    splits = (Split("other", frozenset({1, 9})), Split("two of them", frozenset({9, 11})))
    found, _ = separate(sequence, truth, "truth", splits)
    same(found, two)
    with pytest.raises(UserError, match=r"800 frames are not those of truth \(all.*: 1,200\)"):
        separate(sequence, truth, "truth", STRICT.splits)


def test_a_file_of_lengths_tells_where_videos_begin(files: Files) -> None:
    csv = files.predictions.with_name("lengths.csv")
    csv.write_text("video,frames\n" + "".join(f"{k},{n}\n" for k, n in LENGTHS.items()))
    for truth in (files.truth, files.one_truth):
        found = read(files.predictions, truth=truth, boundaries=str(csv))
        same(found, files.decisions)
    csv.write_text("video11,500\nvideo9,300\nvideo10,399\n")
    with pytest.raises(UserError, match="1,200 frames, but the 3 videos of .* have 1,199 together"):
        read(files.predictions, truth=files.one_truth, boundaries=str(csv))
    # Their order is that of the file.
    csv.write_text("video11,500\nvideo9,300\nvideo10,400\n")
    found = read(files.predictions, truth=files.one_truth, boundaries=str(csv))
    whole = np.concatenate(list(files.decisions.values()))
    same(found, {"video9": whole[500:800], "video10": whole[800:], "video11": whole[:500]})


def test_one_sequence_is_scored_as_one_only_if_asked_for(files: Files) -> None:
    found = read(files.predictions, truth=files.one_truth, boundaries="none")
    assert len(found.videos) == 1 and len(found.frame) == 1200
    with pytest.raises(UserError, match="where its videos begin is not known; give --truth"):
        read(files.predictions, truth=files.one_truth)
    with pytest.raises(UserError, match="truth holds 3 videos; one sequence needs"):
        read(files.predictions, truth=files.truth, boundaries="none")


def test_one_sequence_may_be_longer_than_any_operation(files: Files) -> None:
    day = np.repeat(np.arange(7), 3100)
    lines(files.predictions, day)
    lines(files.one_truth, day)
    assert len(read(files.predictions, truth=files.one_truth, boundaries="none").frame) == 21_700
    lone = files.truth.with_name("lone")
    lone.mkdir()
    lines(lone / "pred.txt", day)
    with pytest.raises(UserError, match=r"6\.0 h, too long .* then --boundaries tells them apart"):
        read(files.predictions, truth=lone)


def test_one_text_file_of_one_video_needs_nothing(files: Files) -> None:
    single = lines(files.predictions.with_name("video10_pred.txt"), files.decisions["video10"])
    same(read(single, truth=files.truth), {"video10": files.decisions["video10"]})


def test_arrays_without_names_of_videos(files: Files) -> None:
    path, score = files.predictions.with_suffix(".npz"), np.eye(7)
    whole = np.concatenate(list(files.decisions.values()))
    np.savez(path, score=score[whole], meta='{"fps": 1, "task": "phase"}')
    same(read(path, truth=files.truth, boundaries="truth"), files.decisions)
    with pytest.raises(UserError, match="array 'video' is missing.*see --boundaries"):
        read(path, truth=files.truth)
    np.savez(path, score=score[whole], video=np.repeat(["a", "b"], 600), frame=np.arange(1200),
             meta='{"fps": 1}')  # fmt: skip
    with pytest.raises(UserError, match="tells its 2 videos apart; --boundaries is for"):
        read(path, truth=files.truth, boundaries="truth")


@pytest.mark.parametrize(
    "text",
    ["", "a,b\nc,d\n", "video,frames\na,1\na,2\n", "a,0\n", "a\n"]
    + [f"a,{'9' * 5000}\n", f"a,1\nb,{'9' * 5000}\n"],
)
def test_a_faulty_file_of_lengths_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(UserError, match=r"--boundaries .*video,frames"):
        read_lengths(tmp_path / "l.csv")
