"""Do triplet scores agree with the field's package, traps included?"""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import CHOLECT50, PROSTATD
from surgvista_jax.metrics import triplet
from surgvista_jax.metrics.average_precision import ABSENT_RULES
from surgvista_jax.metrics.averaging import nanmean
from tests.support.places import REALDATA

ivtmetrics = pytest.importorskip("ivtmetrics", reason="ivtmetrics (test extra) is not installed")
SIZES = {"i": 6, "v": 10, "t": 15, "iv": 26, "it": 59, "ivt": 100}


def random_videos(num_videos: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Videos with 0..3 triplets a frame out of a few per video, so that most classes are absent."""
    generator = np.random.default_rng(seed)
    videos = []
    for _ in range(num_videos):
        frames = generator.integers(8, 16)
        held = generator.choice(100, generator.integers(5, 25), replace=False)
        truth = np.zeros((frames, 100), int)
        truth[:, held] = generator.random((frames, len(held))) < 1.5 / len(held)
        score = np.clip(0.3 * truth + generator.random((frames, 100)) * 0.8, 0, 1)
        # A few scores in common, as from low-precision inference.
        videos.append((truth, score.round(2)))
    return videos


def together(videos: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The frames of all videos as those of one."""
    truth, score = (np.concatenate(part) for part in zip(*videos, strict=True))
    return truth, score


class Reference:
    """ivtmetrics, with its global NumPy settings undone and its class-absent rule chosen."""

    def __init__(self, videos: list, absent: str) -> None:
        with np.errstate():
            self.recognition = ivtmetrics.Recognition(100)
        if absent == "drop":  # the rule of version 0.1.2
            self.recognition.resolve_nan = lambda values: np.where(values == 0, np.nan, values)
        else:  # what 0.1.5 gives where scikit-learn returns +0.0
            self.recognition.resolve_nan = lambda values: values
        for truth, score in videos:
            self.recognition.update(truth, score)
            self.recognition.video_end()

    def __call__(self, method: str, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(self.recognition, method)(*args, **kwargs)


@pytest.mark.parametrize("absent", ["drop", "zero"])
def test_all_components_agree_with_ivtmetrics(absent: str) -> None:
    videos = random_videos(15, seed=1)
    assert all((truth.any(0).sum() < 60) for truth, _ in videos)  # absent classes
    reference = Reference(videos, absent)
    for name in triplet.COMPONENTS:
        values = triplet.video_average_precisions(videos, CHOLECT50, name, absent=absent)
        expected = reference("compute_video_AP", name)
        np.testing.assert_allclose(nanmean(values, 0), expected["AP"], rtol=0, atol=1e-9)
        assert abs(triplet.mean_average_precision(values) - expected["mAP"]) < 1e-9
    without_null = triplet.video_average_precisions(
        videos, CHOLECT50, "ivt", absent=absent, null_classes="drop"
    )
    expected = reference("compute_video_AP", "ivt", ignore_null=True)
    assert abs(triplet.mean_average_precision(without_null) - expected["mAP"]) < 1e-9
    for name in ("ivt", "it"):
        (values,) = triplet.video_average_precisions(
            [together(videos)], CHOLECT50, name, absent=absent
        )
        expected = reference("compute_global_AP", name)
        np.testing.assert_allclose(values, expected["AP"], rtol=0, atol=1e-9)
        assert abs(nanmean(values) - expected["mAP"]) < 1e-9


def test_installed_ivtmetrics_follows_one_of_the_two_rules() -> None:
    videos = random_videos(5, seed=2)
    with np.errstate():
        installed = ivtmetrics.Recognition(100)
    for truth, score in videos:
        installed.update(truth, score)
        installed.video_end()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = installed.compute_video_AP("ivt")["mAP"]
    rules = [
        triplet.mean_average_precision(
            triplet.video_average_precisions(videos, CHOLECT50, "ivt", absent=absent)
        )
        for absent in ABSENT_RULES
    ]
    assert min(abs(found - rule) for rule in rules) < 1e-9
    assert abs(rules[0] - rules[1]) > 0.05  # so the rule must be named


def test_top_k_agrees_with_ivtmetrics() -> None:
    generator = np.random.default_rng(3)
    videos = [(truth, generator.random(truth.shape)) for truth, _ in random_videos(4, seed=3)]
    reference = Reference(videos, "drop")
    for k in (1, 5, 10):
        hits, total = triplet.top_k_counts(*together(videos), k)
        assert abs(hits.sum() / total.sum() - reference("topK", k, "ivt")) < 1e-9


def test_components_are_maxima_over_the_triplets_sharing_them() -> None:
    with np.errstate():
        bank = ivtmetrics.Recognition(100).bank
    columns = {"ivt": 0, "i": 1, "v": 2, "t": 3, "iv": 4, "it": 5}
    generator = np.random.default_rng(0)
    score = generator.random((7, 100))
    for name, column in columns.items():
        found = triplet.component(score, CHOLECT50, name)
        assert found.shape == (7, SIZES[name])
        for index, key in enumerate(np.unique(bank[:, column])):
            expected = score[:, bank[:, column] == key].max(1)
            np.testing.assert_array_equal(found[:, index], expected)
        assert len(CHOLECT50.class_names(name)) == SIZES[name]
    assert CHOLECT50.class_names("ivt")[60] == "hook, dissect, gallbladder"


def test_null_classes_are_dropped_in_ivt_alone() -> None:
    videos = random_videos(3, seed=4)
    for name in triplet.COMPONENTS:
        kept, dropped = (
            triplet.video_average_precisions(
                videos, CHOLECT50, name, absent="drop", null_classes=rule
            )
            for rule in ("keep", "drop")
        )
        if name == "ivt":
            np.testing.assert_array_equal(dropped, kept[:, :94])
        else:
            np.testing.assert_array_equal(dropped, kept)


def test_null_classes_of_prostatd_are_its_own() -> None:
    assert len(PROSTATD.rows) == 89
    assert {PROSTATD.num_classes(name) for name in ("i", "v", "t")} == {7, 10}
    counted = triplet.counted_classes(PROSTATD, "ivt", "drop")
    assert np.flatnonzero(~counted).tolist() == [21, 45, 53, 66, 79, 85, 88]
    null = [tuple(PROSTATD.rows[k][1:]) for k in PROSTATD.null_triplets]
    assert set(null) == {(9, 9)} and (PROSTATD.rows[:, 1] == 9).sum() == 7
    # Rows of the dataset's own table: class, instrument, verb, target, iv, it.
    for row in (
        (16, 0, 2, 7, 2, 7),
        (53, 2, 9, 9, 13, 25),
        (80, 5, 8, 0, 21, 43),
        (88, 6, 9, 9, 24, 51),
    ):
        assert PROSTATD.rows[row[0]].tolist() == list(row[1:4])
        assert PROSTATD.component_ids("iv")[row[0]] == row[4]
        assert PROSTATD.component_ids("it")[row[0]] == row[5]
    with pytest.raises(UserError, match="100 classes, but ProstaTD has 89 triplets"):
        triplet.video_average_precisions(random_videos(1, 0), PROSTATD, "ivt", absent="drop")


def test_asking_twice_gives_the_same_number() -> None:
    # The package appends the last video once more with each question if video_end() was not
    # called; a function of its arguments cannot.
    videos = random_videos(3, seed=5)
    first, second = (
        triplet.video_average_precisions(videos, CHOLECT50, "ivt", absent="drop") for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    with np.errstate():
        recognition = ivtmetrics.Recognition(100)
    for index, (truth, score) in enumerate(videos):
        recognition.update(truth, score)
        if index < 2:
            recognition.video_end()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = [recognition.compute_video_AP("i")["mAP"] for _ in range(3)]
    assert len(set(answers)) == 3


def test_global_and_video_scores_are_different_numbers() -> None:
    videos = random_videos(10, seed=6)
    of_videos = triplet.mean_average_precision(
        triplet.video_average_precisions(videos, CHOLECT50, "ivt", absent="drop")
    )
    pooled = nanmean(
        triplet.video_average_precisions([together(videos)], CHOLECT50, "ivt", absent="drop")
    )
    assert abs(of_videos - pooled) > 0.01


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from(triplet.COMPONENTS))
def test_range_permutation_and_perfection(seed: int, name: str) -> None:
    videos = random_videos(3, seed)
    values = triplet.video_average_precisions(videos, CHOLECT50, name, absent="drop")
    assert (np.isnan(values) | (values > 0) & (values <= 1)).all()
    back = triplet.video_average_precisions(videos[::-1], CHOLECT50, name, absent="drop")
    np.testing.assert_array_equal(values, back[::-1])
    perfect = [(truth, truth.astype(float)) for truth, _ in videos]
    values = triplet.video_average_precisions(perfect, CHOLECT50, name, absent="drop")
    assert triplet.mean_average_precision(values) == 1.0
    present = [triplet.component(truth, CHOLECT50, name).any(0) for truth, _ in videos]
    np.testing.assert_array_equal(~np.isnan(values), np.stack(present))


def test_faults_are_one_line() -> None:
    truth = np.zeros((4, 100), int)
    with pytest.raises(UserError, match=r"ground truth \(4, 100\) but scores \(3, 100\)"):
        triplet.check_triplets(truth, np.zeros((3, 100)), CHOLECT50)
    score = np.zeros((4, 100))
    score[1, 7] = np.nan
    with pytest.raises(UserError, match="video 0: 1 scores are NaN"):
        triplet.video_average_precisions([(truth, score)], CHOLECT50, "ivt", absent="drop")
    with pytest.raises(UserError, match="choose i, v, t, iv, it, ivt"):
        triplet.component(truth, CHOLECT50, "vt")
    with pytest.raises(UserError, match="ground truth of triplets is 0 or 1"):
        triplet.check_triplets(np.full((4, 100), -1), np.zeros((4, 100)), CHOLECT50)


def test_cholect50_table_is_the_official_label_file() -> None:
    path = REALDATA / "cholect50" / "label_mapping.txt"
    if not path.exists():
        pytest.skip(f"no official label file at {path}")
    rows = np.loadtxt(path, delimiter=",", comments="#", dtype=int)
    np.testing.assert_array_equal(rows[:, 1:4], CHOLECT50.rows)
    np.testing.assert_array_equal(
        np.unique(rows[:, 4], return_inverse=True)[1].ravel(), CHOLECT50.component_ids("iv")
    )
    np.testing.assert_array_equal(
        np.unique(rows[:, 5], return_inverse=True)[1].ravel(), CHOLECT50.component_ids("it")
    )
