"""What does a loaded model say of clips, whatever it was loaded from?"""

import subprocess
import sys

import jax
import numpy as np
import pytest
from flax.linen import unbox

import surgvista_jax
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import Backbone, Classifier
from surgvista_jax.inference.model import Model
from surgvista_jax.inference.trained import load_classifier
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.heads import HeadConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig
from tests.support import weight_files
from tests.support.footage import cut, write_video

TOLD = {"num_frames": 4, "stride": 2, "size": 8, "heads": weight_files.HEADS, "dtype": "float32"}
CLIPS = np.random.default_rng(0).integers(0, 256, (3, 4, 8, 8, 3), np.uint8)
HEAD = "surgvista_finetuned:{}/head.npz"
CLASSES = ("a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    weight_files.write_tiny("surgvista", folder / "student.npz")
    weight_files.write_tiny("surgvista_finetuned", folder / "head.npz")
    weight_files.write_tiny("vit", folder / "image.npz")
    return folder


@pytest.fixture(scope="module")
def classifier(folder):
    return surgvista_jax.load(HEAD.format(folder), classes=CLASSES, fps=2, **TOLD)


@pytest.fixture(scope="module")
def student(folder):
    return surgvista_jax.load(folder / "student.npz", fps=5, **TOLD)


def test_a_model_with_a_head_says_what_predict_says(folder, classifier):
    assert (classifier.classes, classifier.fps) == (CLASSES, 2)
    assert classifier.clip == ClipConfig(4, 2, 8) and "5 classes" in repr(classifier)
    told = {key: value for key, value in TOLD.items() if key not in ("heads", "dtype")}
    compute = ComputeConfig(dtype="float32")
    trained = load_classifier(HEAD.format(folder), told, weight_files.HEADS, compute)
    outer = trained.classifier
    wanted, features = jax.jit(lambda p: (outer.predict(p, CLIPS), outer.features(p, CLIPS)))(
        trained.params
    )
    found = classifier.probabilities(CLIPS)
    assert found.dtype == np.float32 and found.shape == (3, 5)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(classifier.features(CLIPS), features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["features", "tokens", "attention", "rollout"])
def test_batches_change_nothing(student, name):
    found = getattr(student, name)(CLIPS)
    assert len(found) == 3
    for given in (list(CLIPS), iter(CLIPS)):
        np.testing.assert_array_equal(getattr(student, name)(given, batch_size=2), found)
    np.testing.assert_array_equal(getattr(student, name)(CLIPS[1]), found[1])


def test_a_backbone_gives_tokens_and_their_mean_but_no_probabilities(student):
    tokens = student.tokens(CLIPS)
    assert student.grid == (2, 2, 2) and tokens.shape == (3, 8, 32)
    np.testing.assert_allclose(student.features(CLIPS), tokens.mean(1), rtol=1e-4, atol=1e-5)
    shares = student.attention(CLIPS)
    assert shares.shape == (3, 2, 2, 2, 2)
    np.testing.assert_allclose(shares.sum((2, 3, 4)), 1, rtol=1e-5)
    np.testing.assert_allclose(student.attention(CLIPS, block=2), shares, rtol=1e-5)
    assert not np.allclose(student.attention(CLIPS, block=0), shares, rtol=1e-2)
    np.testing.assert_allclose(student.rollout(CLIPS).sum((1, 2, 3)), 1, rtol=1e-5)
    with pytest.raises(UserError, match="without a head, which gives features, tokens and"):
        student.probabilities(CLIPS)
    with pytest.raises(UserError, match="has blocks 0 to 2"):
        student.attention(CLIPS, block=3)
    assert student.classes == ()


def test_the_class_token_of_an_image_model_is_pooled_where_it_is_asked_for(folder):
    told = {**TOLD, "num_frames": 1}
    model = surgvista_jax.load(f"vit:{folder / 'image.npz'}", pool="class", **told)
    tokens = model.tokens(CLIPS[0])
    assert tokens.shape == (4, 5, 32) and model.fps is None
    np.testing.assert_allclose(model.features(CLIPS[0]), tokens[:, 0], rtol=1e-5)
    shares = model.attention(CLIPS[0]).sum((2, 3, 4))
    assert (shares < 1).all() and (shares > 0).all()  # some is for the class token itself
    assert surgvista_jax.load(f"vit:{folder / 'image.npz'}", **told).tokens(CLIPS[0]).shape[1] == 4
    with pytest.raises(UserError, match="at how many frames a second"):
        model.clips("video.mp4")


def test_an_attentive_head_shows_what_its_query_attends_to():
    encoder = EncoderConfig(TransformerConfig(32, 3, 2), patch=4)
    backbone = Backbone(
        BackboneConfig(encoder=encoder), ClipConfig(4, 1, 8), ComputeConfig("float32")
    )
    classifier = Classifier(backbone, HeadConfig(heads=4), 3, "single", attentive=True)
    params = unbox(jax.jit(classifier.init)(jax.random.key(0)))
    model = Model("made", backbone, params, classifier=classifier, classes=CLASSES[:3])
    shares = model.attention(CLIPS)
    assert shares.shape == (3, 4, 2, 2, 2) and model.attention(CLIPS, block=-1).shape[1] == 2
    np.testing.assert_allclose(shares.sum((2, 3, 4)), 1, rtol=1e-5)
    rolled = model.rollout(CLIPS)
    assert rolled.shape == (3, 2, 2, 2)
    np.testing.assert_allclose(rolled.sum((1, 2, 3)), 1, rtol=1e-5)


def test_the_clips_of_a_video_end_at_each_of_its_frames(student, tmp_path):
    video = write_video(tmp_path / "v.mp4", num_frames=50)
    found = list(student.clips(video))
    assert len(found) == 10  # two seconds at 5 a second
    for k in (0, 3, 9):
        for back in range(4):
            frame = k - min(2 * back, k // 2 * 2)
            np.testing.assert_array_equal(found[k][3 - back], found[frame][3])
    assert student.features(student.clips(video), batch_size=4).shape == (10, 32)
    with pytest.raises(UserError, match="nothing.mp4: there is no such file"):
        student.clips(tmp_path / "nothing.mp4")
    with pytest.raises(UserError, match="v.mp4"):
        list(student.clips(cut(video)))


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("student", {"classes": CLASSES}, "is a backbone without a head, which has no classes"),
        ("student", {"pool": "class"}, "has no class token; take 'mean'"),
        ("student", {"pool": "max"}, "pool='max': should be one of mean, class"),
        ("student", {"num_frames": 3}, "num_frames or size: 3x8x8 video does not divide"),
        ("student", {"size": 0}, "size"),
        ("student", {"dtype": "float16"}, "should be 'bfloat16' or 'float32'"),
        ("student", {"fps": 0}, "fps=0: should be a number above 0"),
        ("student", {"fps": "5"}, "fps='5': should be a number above 0"),
        ("head", {"classes": "abcde"}, "classes='abcde': should be a list of names"),
        ("student", {"frames": 3}, r"frames=…\): may be num_frames, stride"),
        ("head", {"pool": "mean"}, "has a head, which pools by itself"),
        ("head", {"classes": ("a", "b")}, "has 5 classes, named are 2"),
        ("nothing", {}, "nothing.npz"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(folder, name, changes, said):
    with pytest.raises(UserError, match=said):
        spec = HEAD.format(folder) if name == "head" else folder / f"{name}.npz"
        surgvista_jax.load(spec, **{**TOLD, **changes})


def test_none_says_nothing(folder):
    nothing = dict.fromkeys(("num_frames", "stride", "fps", "classes", "label_kind"))
    told = {**TOLD, "num_frames": 4}
    for spec in (folder / "student.npz", HEAD.format(folder)):
        model = surgvista_jax.load(spec, **{**nothing, **told})
        assert model.clip.num_frames == 4 and model.fps in (None, 1.0)


def test_no_clip_and_no_batch_are_refused(student):
    with pytest.raises(UserError, match="no clip was given"):
        student.features(iter(()))
    with pytest.raises(UserError, match="batch_size=0"):
        student.features(CLIPS, batch_size=0)


def test_a_cnn_has_no_attention():
    backbone = Backbone(BackboneConfig("resnet50"), ClipConfig(1, 1, 32), ComputeConfig())
    with pytest.raises(UserError, match="is a CNN, which has no attention"):
        Model("made", backbone, {}).attention(CLIPS)
    with pytest.raises(UserError, match="is a CNN, which has no attention"):
        Model("made", backbone, {}).rollout(CLIPS)


LAZY = """
import sys, surgvista_jax
assert {"load", "datasets", "metrics", "Model"} <= set(dir(surgvista_jax))
heavy = {"jax", "numpy", "cv2", "av"} & sys.modules.keys()
assert not heavy, heavy
assert surgvista_jax.metrics.phase.per_class and "phase" in dir(surgvista_jax.metrics)
assert "cholec80" in surgvista_jax.datasets.registry()
assert not {"jax", "flax"} & {name for name in sys.modules if name.startswith(("jax", "flax"))}
try:
    surgvista_jax.nothing
except AttributeError as error:
    print(error)
"""


def test_the_package_imports_nothing_before_it_is_asked():
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "has no attribute 'nothing'" in done.stdout
    assert surgvista_jax.load is surgvista_jax.inference.load.load
