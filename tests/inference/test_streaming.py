"""Online is offline, the future changes nothing, and nothing is compiled once frames come."""

import contextlib
import dataclasses
import gc
import json
import weakref

import jax
import numpy as np
import pytest
from flax.core import meta

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.features_header import FeaturesHeader
from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import Backbone, Classifier
from surgvista_jax.inference.features import TrainedBackbone
from surgvista_jax.inference.moments import of_dataset
from surgvista_jax.inference.streaming import StreamingPredictor
from surgvista_jax.inference.temporal import TrainedTemporal
from surgvista_jax.inference.trained import Meaning, TrainedClassifier
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.heads import HeadConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.mstcn import MsTcn, MsTcnConfig
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.predictions.transitions import count_transitions
from surgvista_jax.training.partition import MeshConfig, make_mesh

CLASSES = ("a", "b", "c")
CLIP = ClipConfig(num_frames=4, stride=2, size=32)
MEANING = Meaning(CLASSES, "single", "phase", 5.0, CLIP)
COUNTED = count_transitions([(0, 0, 1, 1, 2, 2)], 3)
NUM_FRAMES = 14


def backbone() -> Backbone:
    transformer = TransformerConfig(width=32, depth=1, heads=2)
    model = BackboneConfig(encoder=EncoderConfig(transformer, norm=False))
    return Backbone(model, CLIP, ComputeConfig(dtype="float32"))


def made(init) -> dict:
    return jax.tree.map(np.asarray, jax.jit(lambda: meta.unbox(init()))())


@pytest.fixture(scope="module")
def classifier():
    model = Classifier(backbone(), HeadConfig(dropout=0.0), 3, "single")
    params = made(lambda: model.init(jax.random.key(3)))
    params["head"]["kernel"] = np.random.default_rng(0).normal(0, 3, (32, 3)).astype(np.float32)
    return TrainedClassifier(name="tiny", classifier=model, params=params, meaning=MEANING)


@pytest.fixture(scope="module")
def temporal():
    config = MsTcnConfig(stages=2, layers=3, feature_maps=8)
    features = TrainedBackbone(
        backbone(), "mean", made(lambda: backbone().init(jax.random.key(0))), "0"
    )
    header = FeaturesHeader("d", 5.0, "vit", "0", 32, 4, 2, 32)
    rows = np.zeros((1, 8, 32), np.float32), np.ones((1, 8), bool)
    own = made(lambda: MsTcn(config, 3).init(jax.random.key(1), *rows, False)["params"])
    return TrainedTemporal(
        name="tcn",
        params=features.params,
        meaning=MEANING,
        model=config,
        own_params=own,
        header=header,
        features=features,
        pad_to=16,
    )


@pytest.fixture(scope="module")
def predictor(classifier):
    return StreamingPredictor(classifier)


@pytest.fixture(scope="module")
def from_zero(classifier):
    return StreamingPredictor(classifier, start=0.0)


@pytest.fixture(scope="module")
def smoothed(classifier):
    return StreamingPredictor(classifier, Smoothing("viterbi", transitions=COUNTED))


@pytest.fixture(scope="module")
def tcn(temporal):
    return StreamingPredictor(temporal)


@pytest.fixture(scope="module")
def frames():
    """A video whose every picture is another, larger than what is kept of it."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (NUM_FRAMES, 40, 48, 3), np.uint8)


class Stored:
    """Frames that are there, as `open_frames` gives them."""

    def __init__(self, frames):
        self._frames = frames

    def read(self, frame_ids):
        return self._frames[frame_ids], np.zeros(len(frame_ids), bool)


def offline(trained, frames, monkeypatch, tmp_path, batch_size=4) -> np.ndarray:
    """What `predict` says of a dataset of these frames on one device."""
    monkeypatch.setattr(
        "surgvista_jax.data.batches.labelled.open_frames", lambda *_: Stored(frames)
    )
    video = Video("v", "v", 5.0, len(frames))
    about = ("d", "none", CLASSES, "single", 5.0, {}, "", "", "", "")
    dataset = Dataset(tmp_path, *about, (video,))
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    loader = LoaderConfig(workers=0)
    how = {"mesh": mesh, "batch_size": batch_size, "loader": loader}
    (found,) = of_dataset(trained, dataset, labelled=False, **how)
    return found.outputs.values


def online(predictor, frames, fps=5.0) -> np.ndarray:
    predictor.restart()
    found = [predictor.push(frame, k / fps) for k, frame in enumerate(frames)]
    return np.array([each.scores for each in found if each is not None])


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_classifier_says_online_what_it_says_offline_to_the_bit(
    batch_size, classifier, predictor, smoothed, frames, monkeypatch, tmp_path
):
    expected = offline(classifier, frames, monkeypatch, tmp_path, batch_size)
    found = online(predictor, frames)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found.argmax(1))) > 1  # it tells frames apart
    smoothing = Smoothing("viterbi", causal=True, transitions=COUNTED)
    of_all = smoothing.of_video(np.arange(NUM_FRAMES), expected)
    np.testing.assert_array_equal(online(smoothed, frames), of_all)


def test_an_mstcn_says_online_what_it_says_offline_to_the_bit(
    temporal, tcn, frames, monkeypatch, tmp_path
):
    """And what all frames side by side give, as accelerators compute them."""
    found = online(tcn, frames)
    np.testing.assert_array_equal(found, offline(temporal, frames, monkeypatch, tmp_path))
    assert np.abs(np.diff(found, axis=0)).max() > 1e-3
    rows = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)  # more than one go
    along = temporal.of_video(rows)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(temporal.of_video(rows), along, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["smoothed", "tcn"])
def test_the_future_cannot_change_the_past(kind, frames, request):
    predictor = request.getfixturevalue(kind)
    changed = frames.copy()
    changed[9:] = 255 - changed[9:]
    found, other = online(predictor, frames), online(predictor, changed)
    np.testing.assert_array_equal(found[:9], other[:9])
    assert (found[9:] != other[9:]).any(1).all()


def test_pictures_between_the_moments_change_nothing(predictor, frames):
    expected = online(predictor, frames)
    predictor.restart()
    found, noise = [], np.random.default_rng(0)
    for number in range(5 * (NUM_FRAMES - 1) + 1):  # 25 a second
        between = noise.integers(0, 256, frames[0].shape, np.uint8)
        frame = between if number % 5 else frames[number // 5].copy()
        found.append(predictor.push(frame, 100 + number / 25))
        frame[:] = 0  # whoever pushes may use the array again
    assert [number for number, each in enumerate(found) if each] == list(range(0, 66, 5))
    np.testing.assert_array_equal([each.scores for each in found if each], expected)
    told = found[10]
    assert told.frame == 2 and told.time == 100.4
    assert told.label == CLASSES[told.scores.argmax()] == told.labels[0]
    assert told.probabilities == (told.scores.max(),)


def test_a_view_of_a_frame_is_a_frame(predictor, frames):
    """As of pictures that OpenCV gave, in its order of colours."""
    expected = online(predictor, frames)
    turned = np.ascontiguousarray(frames[..., ::-1])[..., ::-1]
    turned.flags.writeable = False
    np.testing.assert_array_equal(online(predictor, turned), expected)


def test_of_a_hole_the_picture_before_it_is_seen(predictor, frames):
    """As offline; but of the moments in it only the newest is predicted."""
    filled = frames[[0, 1, 1, 1, 4, 5]]
    expected = online(predictor, filled)
    predictor.restart()
    found = [predictor.push(frames[k], k / 5) for k in (0, 1, 4, 5)]
    assert [each.frame for each in found] == [0, 1, 4, 5]
    np.testing.assert_array_equal([each.scores for each in found], expected[[0, 1, 4, 5]])
    # However long: what no clip sees any more is left out.
    after = predictor.push(frames[6], 1e6)
    assert after.frame == 5_000_000
    only = online(predictor, [*frames[[5] * 7], frames[6]])[-1]
    np.testing.assert_array_equal(after.scores, only)


def test_an_mstcn_takes_a_hole_for_the_features_before_it(tcn, frames):
    tcn.restart()
    tcn.push(frames[0], 0.0)
    last = tcn.push(frames[1], 0.2)
    after = tcn.push(frames[1], 1e5)
    assert after.frame == 500_000
    tcn.restart()
    assert tcn.push(frames[0], 7.0).frame == 0
    np.testing.assert_array_equal(tcn.push(frames[1], 7.2).scores, last.scores)


def test_accelerators_run_along_without_a_loop_over_blocks(classifier, temporal, monkeypatch):
    for trained in (classifier, temporal):
        unrolled = trained.unrolled.backbone
        assert unrolled.compute.unroll and unrolled != trained.backbone
        assert trained.unrolled.with_backbone(trained.backbone) == trained
    taken: list[TrainedClassifier] = []
    unrolled = TrainedClassifier.unrolled.fget
    spied = property(lambda self: taken.append(self) or unrolled(self))
    monkeypatch.setattr(TrainedClassifier, "unrolled", spied)
    StreamingPredictor(classifier)
    assert not taken
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    StreamingPredictor(classifier)
    assert taken == [classifier]


def test_frames_that_an_accelerator_makes_smaller_are_those_that_came(
    classifier, predictor, frames, monkeypatch
):
    """Though arrays are used again, and whatever came between them."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    along = StreamingPredictor(classifier, frame_size=(48, 40))
    with counted_compiling() as compiled:
        expected = online(along, frames)
        assert not compiled
    np.testing.assert_allclose(expected, online(predictor, frames), atol=0.02)
    along.restart()
    again, found = np.empty_like(frames[0]), []
    for number in range(5 * (NUM_FRAMES - 1) + 1):  # 25 a second
        again[:] = 7 if number % 5 else frames[number // 5]
        found.append(along.push(again, number / 25))
    np.testing.assert_array_equal([each.scores for each in found if each], expected)
    along.restart()
    found = []
    for k, second in ((0, 0.0), (1, 0.2), (7, 0.55), (5, 1.0)):  # of a hole what was before is seen
        again[:] = frames[k]
        found.append(along.push(again, second).scores)
    filled = online(along, frames[[0, 1, 1, 7, 7, 5]])
    np.testing.assert_array_equal(found, filled[[0, 1, 2, 5]])


@contextlib.contextmanager
def counted_compiling():
    """Gives a list in which JAX notes what it compiles."""
    compiled: list[str] = []
    listen = lambda event, *_, **__: compiled.append(event) if "compile" in event else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.clear_event_listeners()


def test_nothing_is_compiled_once_frames_come(smoothed, tcn, frames):
    with counted_compiling() as compiled:
        for predictor in (smoothed, tcn):
            online(predictor, frames)
        assert not compiled
        jax.jit(lambda x: x * 3)(np.arange(3))
        assert compiled  # it would have been told


def test_several_classes_hold_from_a_half_on(classifier, frames):
    several = dataclasses.replace(
        classifier,
        classifier=dataclasses.replace(classifier.classifier, label_kind="multi"),
        meaning=dataclasses.replace(MEANING, label_kind="multi"),
    )
    kept = weakref.ref(several)
    predictor = StreamingPredictor(several)
    del several
    gc.collect()
    assert kept() is None  # nor are its parameters held any more
    told = predictor.push(frames[0], 0.0)
    held = [k for k in range(3) if told.scores[k] > 0.5]
    assert told.labels == tuple(CLASSES[k] for k in held)
    assert told.label == ";".join(told.labels)
    assert json.loads(json.dumps(told.probabilities)) == [float(told.scores[k]) for k in held]


@pytest.mark.parametrize(
    ("frame", "time", "said"),
    [
        (np.zeros((4, 4, 3), np.float32), 2.0, "array of uint8 RGB, not of float32"),
        ([[0]], 2.0, "not of list"),
        (np.zeros((4, 4), np.uint8), 2.0, r"\[H, W, 3\], not \[4, 4\]"),
        (np.zeros((4, 4, 3), np.uint8), 2.0, "is 4x4, those before 48x40"),
        (np.zeros((40, 48, 3), np.uint8), 0.9, "time=0.9: comes before 1.0"),
        (np.zeros((40, 48, 3), np.uint8), float("nan"), "time=nan: should be seconds"),
        (np.zeros((40, 48, 3), np.uint8), None, "time=None: should be seconds"),
        (np.zeros((40, 48, 3), np.uint8), 1.7e12, "should be seconds"),  # of milliseconds
        (np.zeros((0, 48, 3), np.uint8), 2.0, r"\[H, W, 3\], not \[0, 48, 3\]"),
    ],
)
def test_what_is_no_next_frame_is_refused(predictor, frames, frame, time, said):
    predictor.restart()
    predictor.push(frames[0], 1.0)
    with pytest.raises(ValueError, match=said):
        predictor.push(frame, time)
    assert predictor.push(frames[1], 1.2).frame == 1  # as if nothing had been pushed


@pytest.mark.parametrize(("late", "first"), [(0.0, 7), (0.02, 7), (0.15, 8)])
def test_of_moments_before_the_first_frame_nothing_is_said(
    late, first, from_zero, predictor, frames
):
    """Others keep their numbers, and see no more than what came."""
    from_zero.restart()
    each = [from_zero.push(frame, 7 / 5 + late + k / 5) for k, frame in enumerate(frames[7:])]
    said = [one for one in each if one is not None]
    assert [one.frame for one in said] == list(range(first, first + len(said)))
    assert [one.time for one in said] == [one.frame / 5 for one in said]
    assert len(said) == NUM_FRAMES - first
    found = np.array([one.scores for one in said])
    np.testing.assert_array_equal(found, online(predictor, frames[7:])[: len(found)])


def test_a_start_that_is_no_second_is_refused(classifier):
    with pytest.raises(ValueError, match="start=nan: should be seconds"):
        StreamingPredictor(classifier, start=float("nan"))


def test_models_that_see_what_comes_are_refused(classifier, temporal):
    whole = dataclasses.replace(MEANING, clip=dataclasses.replace(CLIP, sampling="uniform"))
    with pytest.raises(UserError, match="whole videos .* cannot run along"):
        StreamingPredictor(dataclasses.replace(classifier, meaning=whole))
    acausal = dataclasses.replace(temporal, model=MsTcnConfig(causal=False))
    with pytest.raises(UserError, match="sees what comes later .* cannot run along"):
        StreamingPredictor(acausal)
