"""Smoothing over time is exact, scores better on made-up surgery, and can run along."""

import itertools
import json

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.errors import UserError
from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.predictions.smoothing import Smoothing, told
from surgvista_jax.predictions.transitions import count_transitions, from_json, transitions_of
from surgvista_jax.synthetic.operation import INSTRUMENTS, PHASES
from surgvista_jax.synthetic.plan import plan_operation

COUNTED = count_transitions([(0, 0, 1, -1, 1, 2, 2), (-1, 1, 1, 0, 2)], 3, "made up")
PATHS = Smoothing("viterbi", transitions=COUNTED)
FRAMES = np.array([0, 1, 2, 5, 6, 8])


def random_scores(num_frames=6, num_classes=3, seed=0):
    scores = np.random.default_rng(seed).random((num_frames, num_classes)) ** 2
    return (scores / scores.sum(1, keepdims=True)).astype(np.float32)


def every_path(scores, frames):
    """All paths, and the logarithm of each one's probability."""
    first, seen = np.log(COUNTED.first()), np.log(scores.astype(np.float64))
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        total = first[path[0]] + sum(seen[at, state] for at, state in enumerate(path))
        for at in range(1, len(path)):
            step = COUNTED.after(int(frames[at] - frames[at - 1]))
            total += np.log(step[path[at - 1], path[at]])
        yield path, total


def by_hand(scores, frames):
    """For each frame and class the share of the best path that passes there."""
    best = np.full(scores.shape, -np.inf)
    for path, total in every_path(scores, frames):
        for at, state in enumerate(path):
            best[at, state] = max(best[at, state], total)
    shares = np.exp(best - best.max())
    return shares / shares.sum(1, keepdims=True)


def test_transitions_are_counted_between_labelled_neighbours_alone():
    assert COUNTED.begins.tolist() == [1, 1, 0]
    assert COUNTED.follows.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 1]]
    np.testing.assert_allclose(COUNTED.after()[2], [0.25, 0.25, 0.5])  # Laplace: one more each
    np.testing.assert_allclose(COUNTED.after(3), np.linalg.matrix_power(COUNTED.after(), 3))
    again = from_json(json.loads(json.dumps(COUNTED.as_json())), 3, "meta")
    np.testing.assert_array_equal(again.follows, COUNTED.follows)
    for damaged in ({}, [], {"begins": [1, 2, 3], "follows": [[1, -1, 0]] * 3}, {"begins": "x"}):
        with pytest.raises(UserError, match="meta: transitions are damaged"):
            from_json(damaged, 3, "meta")


@pytest.mark.parametrize("seed", range(5))
def test_viterbi_is_the_best_of_all_paths(seed):
    scores = random_scores(seed=seed)
    found = PATHS.of_video(FRAMES, scores)
    np.testing.assert_allclose(found, by_hand(scores, FRAMES), rtol=1e-6)
    best, _ = max(every_path(scores, FRAMES), key=lambda each: each[1])
    assert tuple(found.argmax(1)) == best


def test_the_causal_form_is_the_other_one_on_a_video_that_ends_there():
    scores = random_scores(seed=7)
    causal = Smoothing("viterbi", causal=True, transitions=COUNTED).of_video(FRAMES, scores)
    for at in range(len(FRAMES)):
        whole = PATHS.of_video(FRAMES[: at + 1], scores[: at + 1])
        np.testing.assert_allclose(causal[at], whole[-1], rtol=1e-6)


@pytest.mark.parametrize(
    "smoothing",
    [
        Smoothing("median", causal=True, window=3),
        Smoothing("viterbi", causal=True, transitions=COUNTED),
    ],
    ids=lambda each: each.kind,
)
def test_the_future_changes_no_causal_smoothing(smoothing):
    scores, changed = random_scores(), random_scores(seed=9)
    changed[:4] = scores[:4]
    found, other = smoothing.of_video(FRAMES, scores), smoothing.of_video(FRAMES, changed)
    np.testing.assert_array_equal(found[:4], other[:4])
    assert (found[4:] != other[4:]).any()


def test_the_median_is_of_a_window_of_time_and_class_by_class():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.6, 0.5], [0.0, 1.0]])
    several = Smoothing("median", window=3, several=True).of_video(FRAMES, scores)
    # Frames 0 and 1; 0 to 2; 1 and 2; 5 and 6 twice; 8.
    expected = [[0.55, 0.45], [0.7, 0.3], [0.45, 0.55], [0.35, 0.7], [0.35, 0.7], [0, 1]]
    np.testing.assert_allclose(several, expected, atol=1e-6)
    causal = Smoothing("median", causal=True, window=3, several=True).of_video(FRAMES, scores)
    expected = [[0.9, 0.1], [0.55, 0.45], [0.7, 0.3], [0.1, 0.9], [0.35, 0.7], [0.3, 0.75]]
    np.testing.assert_allclose(causal, expected, atol=1e-6)
    single = Smoothing("median", window=3).of_video(FRAMES, scores)
    np.testing.assert_allclose(single.sum(1), 1, rtol=1e-6)
    three = Smoothing("median", window=3).of_video(np.arange(3), np.eye(3))
    np.testing.assert_allclose(three[1], 1 / 3)  # no median is above 0: their mean


def test_what_is_certain_and_wrong_does_not_end_all_paths():
    scores = np.eye(3, dtype=np.float32)[[0, 2, 0, 1, 1]]
    found = PATHS.of_video(np.arange(5), scores)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_of_several_classes_there_is_no_path():
    with pytest.raises(ValueError, match="classes that exclude"):
        Smoothing("viterbi", several=True, transitions=COUNTED)
    with pytest.raises(ValueError, match="window=0"):
        Smoothing("median", window=0)
    videos = (Video("a", "a", 1.0, 2, ((0, 1), (2,))),)
    some = Dataset(".", "d", "tool", ("a", "b", "c"), "multi", 1.0, {}, "", "", "", "", videos)
    assert transitions_of(some) is None


@pytest.fixture(scope="module")
def operations():
    """Six made-up operations; what follows what is counted on the first four."""
    return [plan_operation(seed, 300, 1.0, f"operation{seed}") for seed in range(6)]


def scores_of(path, tested, score, label, meta, protocol, capsys) -> dict[str, float]:
    """What `surgvista evaluate` says of predictions."""
    video, frame = np.repeat([each.video for each in tested], 300), np.tile(np.arange(300), 2)
    write_npz(path, video=video, frame=frame, score=score, label=label, meta={"fps": 1.0, **meta})
    assert not main(["evaluate", str(path), f"--protocol={protocol}", "--json", "--samples=20"])
    told_scores = json.loads(capsys.readouterr().out)["scores"]
    return {score["key"]: score["value"] for score in told_scores}


VIDEO, FRAME = np.repeat([0, 1], 300), np.tile(np.arange(300), 2)


def test_each_smoothing_of_phases_scores_better_on_made_up_surgery(operations, tmp_path, capsys):
    rng, tested = np.random.default_rng(0), operations[4:]
    counted = count_transitions([each.phase for each in operations[:4]], len(PHASES), "made up")
    label = np.concatenate([each.phase for each in tested])
    logits = 1.5 * np.eye(len(PHASES))[label] + rng.normal(0, 1, (len(label), len(PHASES)))
    score = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    forms = {"none": None}
    for causal in (False, True):
        forms[f"median {causal}"] = Smoothing("median", causal, window=9)
        forms[f"viterbi {causal}"] = Smoothing("viterbi", causal, transitions=counted)
    found = {}
    for name, form in forms.items():
        values = score if form is None else form.of_videos(VIDEO, FRAME, score)
        meta = {"task": "phase", "classes": PHASES, **told(form, 1.0)}
        path = tmp_path / f"{name}.npz"
        found[name] = scores_of(path, tested, values, label, meta, "phase-strict", capsys)
    without = found.pop("none")
    for name, scores in found.items():
        assert scores["accuracy"] > without["accuracy"] + 0.15, (name, found)
        assert scores["jaccard"] > without["jaccard"] + 0.1, (name, found)
    for kind in ("median", "viterbi"):  # who knows what comes says it better
        assert found[f"{kind} False"]["accuracy"] > found[f"{kind} True"]["accuracy"], found


def test_the_median_of_tools_scores_better_on_made_up_surgery(operations, tmp_path, capsys):
    tested = operations[4:]
    label = np.concatenate([each.instruments for each in tested])
    noise = np.random.default_rng(0).normal(0, 1.5, label.shape)
    score = 1 / (1 + np.exp(1 - 2.0 * label - noise))
    found = {}
    for name, causal in (("none", None), ("offline", False), ("causal", True)):
        form = None if causal is None else Smoothing("median", causal, window=5, several=True)
        values = score if form is None else form.of_videos(VIDEO, FRAME, score)
        meta = {"task": "tool", "classes": INSTRUMENTS, **told(form, 1.0)}
        path = tmp_path / f"{name}.npz"
        scores = scores_of(path, tested, values, label, meta, "tool-presence", capsys)
        found[name] = scores["mean_ap"]
    assert found["offline"] > found["causal"] > found["none"], found
