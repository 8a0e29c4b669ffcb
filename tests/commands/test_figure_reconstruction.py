"""Reconstruction figures show what was there, what was seen and what was predicted, no more."""

import shutil

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.masking import MASKS
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.figures import printed
from surgvista_jax.figures.denormalise import STATISTICS, assemble, denormalise, squared_errors
from surgvista_jax.figures.distillation_sheet import Rebuilt, draw_distillation
from surgvista_jax.figures.reconstruction_sheet import DPI, ERROR_SCALE, Caption, draw
from surgvista_jax.models.patches import patchify
from surgvista_jax.tasks.pretraining import losses
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.reconstruction import figure_batch, make_caption
from surgvista_jax.tasks.pretraining.saved_student import saved_student
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.training.checkpoint import CheckpointConfig, Checkpoints
from surgvista_jax.training.rundir import claim
from tests.support.drawn_text import check_texts, texts

GRID, TUBELET, PATCH = (2, 4, 4), 2, 8


@pytest.fixture(params=MASKS)
def batch(request):
    """Two clips [2, 4, 32, 32, 3] of noise, each with a mask of its own."""
    return make_batch(request.param)


def make_batch(kind="tube", ratio=0.75):
    rng = np.random.default_rng(0)
    masks = [MASKS[kind](rng, GRID, ratio) for _ in range(2)]
    return {
        "video": rng.integers(0, 256, (2, 4, 32, 32, 3), np.uint8),
        "visible_ids": np.stack([visible for visible, _ in masks]),
        "hidden_ids": np.stack([hidden for _, hidden in masks]),
    }


def patches_of(batch):
    return patchify(batch["video"], TUBELET, PATCH)


def hidden_patches(batch):
    return np.take_along_axis(patches_of(batch), batch["hidden_ids"][..., None], axis=1)


def targets(batch):
    """What a perfect student predicts."""
    return np.asarray(losses.pixel_targets(hidden_patches(batch)))


def undo(batch, predicted, statistics):
    ids = batch["visible_ids"], batch["hidden_ids"]
    return denormalise(predicted, patches_of(batch), *ids, GRID, statistics)


def rebuild(batch, pixels):
    return assemble(pixels, patches_of(batch), batch["hidden_ids"], GRID, TUBELET, PATCH)


def test_with_their_own_statistics_perfect_predictions_give_the_input(batch):
    pixels = undo(batch, targets(batch), "target")
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)
    np.testing.assert_array_equal(rebuild(batch, pixels), batch["video"])


def test_with_visible_statistics_nothing_of_a_hidden_patch_is_used(batch):
    other = {**batch, "video": rebuild(batch, np.float32(0))}
    assert (other["video"] != batch["video"]).any()
    predicted = targets(batch)
    np.testing.assert_array_equal(
        undo(batch, predicted, "visible"), undo(other, predicted, "visible")
    )
    assert (undo(batch, predicted, "target") != undo(other, predicted, "target")).any()


def test_visible_statistics_are_those_of_the_visible_patches_where_these_agree(batch):
    # Every patch is black but for one white pixel: all have the same mean and deviation.
    video = np.zeros_like(batch["video"])
    video[:, ::TUBELET, ::PATCH, ::PATCH] = 255
    batch = {**batch, "video": video}
    pixels = undo(batch, targets(batch), "visible")
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)


def test_under_a_tube_mask_statistics_come_from_the_same_slice_of_time():
    batch = make_batch("tube")
    batch["video"][:, :2], batch["video"][:, 2:] = 40, 200
    pixels = undo(batch, np.zeros_like(targets(batch)), "visible")
    np.testing.assert_allclose(pixels, hidden_patches(batch) / 255, atol=1e-5)


def test_nearer_visible_patches_count_for_more():
    video = np.zeros((1, 2, 8, 40, 3), np.uint8)
    video[..., :8, :] = 255  # the leftmost of five patches in a row
    visible_ids, hidden_ids = np.array([[0, 4]]), np.array([[1, 2, 3]])
    patches = patchify(video, 2, 8)
    grey = denormalise(
        np.zeros((1, 3, 384)), patches, visible_ids, hidden_ids, (1, 1, 5), "visible"
    )
    left, middle, right = grey[0, :, 0]
    assert left > 0.9 and right < 0.1
    assert middle == pytest.approx(0.5)


def test_pixels_stay_between_black_and_white(batch):
    predicted = np.full_like(targets(batch), 100.0)
    predicted[..., ::2] = -100
    for statistics in STATISTICS:
        pixels = undo(batch, predicted, statistics)
        assert (pixels.min(), pixels.max()) == (0, 1)


def test_visible_patches_are_copied_and_hidden_ones_filled_in(batch):
    rebuilt = patchify(rebuild(batch, np.float32(1)), TUBELET, PATCH)
    for clip in range(2):
        visible = batch["visible_ids"][clip]
        np.testing.assert_array_equal(rebuilt[clip, visible], patches_of(batch)[clip, visible])
        assert (rebuilt[clip, batch["hidden_ids"][clip]] == 255).all()


def test_errors_are_those_of_the_loss(batch):
    predicted = np.random.default_rng(1).normal(size=targets(batch).shape).astype(np.float32)
    expected = [losses.pixel_loss(values, targets(batch)) for values in (predicted, 0 * predicted)]
    errors = squared_errors(predicted, patches_of(batch), batch["hidden_ids"])
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_unknown_statistics(batch):
    with pytest.raises(ValueError, match="visible, target"):
        undo(batch, targets(batch), "own")


def page(batch, predicted, videos=("one", "two"), statistics=("visible",), **changes):
    frame_ids = np.arange(8).reshape(2, 4)
    caption = {"dataset": "set", "step": 7, "mask": "tube", "ratio": 0.75}
    caption = Caption(**{**caption, **changes}, videos=videos, frame_ids=frame_ids)
    return draw(batch, predicted, caption, tubelet=TUBELET, patch=PATCH, statistics=statistics)


def holds(image, colour):
    """The share of an image's pixels of about one colour."""
    return (np.abs(image.astype(int) - np.array(colour)).max(-1) <= 2).mean()


def test_the_page_shows_the_clip_its_hidden_patches_and_the_error():
    batch = make_batch()
    batch["video"][:] = (200, 30, 40)
    right, wrong = np.zeros_like(targets(batch)), np.full_like(targets(batch), 1e9)
    shown = page(batch, right, statistics=("target",))
    assert shown.dtype == np.uint8 and shown.shape[-1] == 3
    frame = 1.2 * 1.2 * DPI**2 / shown[..., 0].size * 8  # all frames of one stage
    # The original and the reconstruction whole, of the input a quarter.
    assert holds(shown, (200, 30, 40)) == pytest.approx(2.25 * frame, rel=0.05)
    assert holds(shown, (140, 140, 140)) == pytest.approx(0.75 * frame, rel=0.05)
    darkest, brightest = (0, 0, 4), (252, 255, 164)  # ends of the colour map
    assert holds(shown, darkest) == pytest.approx(0.75 * frame, rel=0.05)
    assert holds(page(batch, wrong), brightest) == pytest.approx(0.75 * frame, rel=0.05)
    assert 0 < ERROR_SCALE < 1


def test_each_statistics_gets_its_rows():
    batch = make_batch()
    one, both = (page(batch, targets(batch), statistics=s) for s in (("visible",), STATISTICS))
    rows = (both.shape[0] - one.shape[0]) / DPI / (1.2 + 0.04)
    assert one.shape[1] == both.shape[1] and round(rows) == 2 * 2


def test_nothing_is_cut_off_whatever_the_names():
    batch = make_batch()
    names = ("VIDEO_" * 30, "Operation $\\frac$ 手術 №1"), "W" * 200
    image = page(batch, targets(batch), videos=names[0], dataset=names[1])
    for edge in (image[:6], image[-6:], image[:, :6], image[:, -6:]):
        assert (edge == 255).all()


# The command.


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A folder of two videos, of 9 and 5 frames."""
    folder = tmp_path_factory.mktemp("data set")
    rng, videos = np.random.default_rng(0), []
    for video, num_frames in (("first", 9), ("second", 5)):
        frames = folder / "frames" / video
        frames.mkdir(parents=True)
        for index in range(num_frames):
            picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (64, 48))
            cv2.imwrite(str(frames / f"{index:06d}.jpg"), picture)
        videos.append(Video(video, f"frames/{video}", 1.0, num_frames))
    head = {"task": "none", "classes": (), "label_kind": "single", "source_format": "frames"}
    words = {"procedure": "", "licence": "", "citation": ""}
    splits = {"train": ("first",), "test": ("second",), "empty": ()}
    write_dataset(
        Dataset(folder, "tiny", fps=1.0, splits=splits, videos=tuple(videos), **head, **words)
    )
    return folder


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, dataset):
    """A run whose two checkpoints hold random parameters."""
    folder = tmp_path_factory.mktemp("run")
    config = load_config("configs/pretrain/cpu.py", PretrainConfig).unlock()
    config.data.folder = str(dataset)
    config.clip.update({"num_frames": 4, "stride": 1, "size": 64})
    config.mask.masks_per_clip = 2
    config.model.patch = 16
    for part in ("encoder", "pixel_decoder", "feature_decoder"):
        config.model[part].update({"width": 32, "depth": 1, "heads": 2})
    claim(folder, config, PretrainConfig, "pretraining", ())
    task = make_pretraining(build(PretrainConfig, config))
    params = jax.jit(lambda: nn.unbox(task.init_trained()))()
    with Checkpoints(folder, CheckpointConfig(save_every=1)) as checkpoints:
        for step in (3, 5):
            checkpoints.save(step, params, {"count": jnp.zeros(())}, {})
    return folder


def figure(checkpoint, out, *words):
    return main(
        ["figure", "reconstruction", "--checkpoint", str(checkpoint), "--out", str(out), *words]
    )


def test_the_command_draws_and_tells_the_errors(run_folder, dataset, tmp_path, capsys):
    out = tmp_path / "new folder" / "figure.png"
    words = ["--dataset", str(dataset), "--split", "test", "--denormalise", "both"]
    assert figure(run_folder, out, *words) == 0
    image = cv2.imread(str(out))
    assert image.shape[0] > 2 * 6 * 1.2 * DPI  # two clips of six rows
    told = capsys.readouterr()
    assert str(out) in told.out and "step 5" in told.out and not told.err
    assert 0.9 < float(told.out.split()[-1]) < 1  # the variance of normalised pixels


def test_a_checkpoint_is_found_from_each_of_its_folders(run_folder, tmp_path, capsys):
    folders = run_folder, run_folder / "checkpoints", run_folder / "checkpoints" / "3"
    words = ["--video", "first", "--frame", "4"]
    steps = []
    for number, folder in enumerate(folders):
        assert figure(folder, tmp_path / f"{number}.png", *words) == 0
        steps.append(capsys.readouterr().out.split("step ")[1].split(",")[0])
    assert steps == ["5", "5", "3"]
    images = [cv2.imread(str(tmp_path / f"{number}.png")) for number in range(3)]
    np.testing.assert_array_equal(images[0], images[1])
    assert images[0].shape[0] < 1.5 * 4 * 1.2 * DPI  # one clip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--video", "third"], "no video 'third'"),
        (["--frame", "4"], "of which video"),
        (["--video", "first", "--frame", "9"], "frames 0 to 8"),
        (["--split", "val"], "no split 'val'"),
        (["--split", "empty"], "no frames"),
        (["--dataset", "nowhere"], "nowhere: no such folder"),
        (["--clips", "0"], "--clips=0"),
        (["--seed", "-1"], "--seed=-1"),
        (["--out", "figure.jpg"], "figure.jpg"),
        (["--checkpoint", "nowhere"], "no checkpoint here"),
    ],
)
def test_mistakes_are_told_in_one_line(run_folder, tmp_path, capsys, words, message):
    assert figure(run_folder, tmp_path / "figure.png", *words) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_no_figure_is_drawn_of_a_clip_that_is_not_there(run_folder, dataset, tmp_path, capsys):
    gone = shutil.copytree(dataset, tmp_path / "data")
    for path in gone.glob("frames/second/*"):
        path.unlink()
    out = tmp_path / "figure.png"
    assert figure(run_folder, out, "--dataset", str(gone), "--split", "test") == 1
    error = capsys.readouterr().err
    assert "of second can be read" in error and error.count("\n") == 1 and not out.exists()


def test_a_step_that_is_not_there(run_folder, tmp_path, capsys):
    assert figure(run_folder / "checkpoints" / "4", tmp_path / "figure.png") == 1
    assert "no checkpoint of step 4 here; there are steps 3, 5" in capsys.readouterr().err


def test_a_checkpoint_without_its_configuration(run_folder, tmp_path, capsys):
    (tmp_path / "checkpoints").symlink_to(run_folder / "checkpoints")
    assert figure(tmp_path, tmp_path / "figure.png") == 1
    assert str(tmp_path / "config.json") in capsys.readouterr().err


# With and without a teacher.


LONG = "without teacher, 40 epochs"


@pytest.mark.parametrize("width", ["single", "double"])
def test_no_texts_of_the_figure_of_distillation_run_into_each_other(width):
    batch = {key: values[:1] for key, values in make_batch().items()}
    right = targets(batch)
    students = [
        Rebuilt("with teacher", right, "target"),
        Rebuilt(LONG, 0 * right, "visible"),
    ]
    sheet = draw_distillation(
        batch,
        students,
        GRID,
        "A note. " * 20,
        tubelet=TUBELET,
        patch=PATCH,
        frame_ids=[1000, 1004, 1008, 1012],
        width=width,
    )
    sheet.set_dpi(100)
    check_texts(sheet)
    written = [text for text, _ in texts(sheet)]
    lines = {"single": ["without teacher,", "40 epochs"], "double": [LONG]}[width]
    assert [text for text in written if text in lines] == lines  # wrapped, not cut
    assert "mean 0.000" in written and "MSE 0.000" in written and "1012" in written
    # In print without colours, too, no error looks like what was not hidden.
    maps = [axes for axes in sheet.axes if axes.images and axes.images[0].get_array().ndim == 2]
    assert maps and {axes.patch.get_hatch() for axes in maps} == {2 * printed.HATCH}


def test_a_caption_names_the_folders_of_the_datasets(run_folder, dataset, tmp_path):
    """Datasets of one's own are all called `videos`."""
    student = saved_student(run_folder)
    folders = []
    for name in ("one", "two"):
        shutil.copytree(dataset, tmp_path / name)
        folders.append(str(tmp_path / name))
    mixed = read_folders(",".join(folders), None)
    batch = figure_batch(mixed, student.task, clips=1, seed=0)
    assert make_caption(mixed, student.task, batch, 1).dataset.startswith("one + two (")


def test_one_clip_is_rebuilt_by_both(run_folder, dataset, tmp_path, capsys):
    runs = [str(run_folder / "checkpoints" / step) for step in "53"]
    words = ["figure", "distillation", "--video", "first", "--frame", "6"]
    for name in "ab":
        assert main([*words, *runs, "--out", str(tmp_path / f"{name}.pdf")]) == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    out = ["--out", str(tmp_path / "c.pdf")]
    capsys.readouterr()
    for wrong, message in (
        (runs[:1], "is no study"),
        ([*runs, runs[0]], "two runs are drawn"),
        (["nowhere", runs[0]], "no checkpoint here"),
    ):
        assert main([*words, *wrong, *out]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
