"""Are clips of every usual form the ones that were meant, and are others refused in words?"""

import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import resize_clip
from surgvista_jax.errors import UserError
from surgvista_jax.inference.clip_arrays import as_clips

CLIP, IMAGE = ClipConfig(4, 1, 8), ClipConfig(1, 1, 8)
RNG = np.random.default_rng(0)
VIDEO = RNG.integers(0, 256, (4, 8, 8, 3), np.uint8)
GREY = VIDEO[..., :1]
SEVERAL = RNG.integers(0, 256, (3, 4, 8, 8, 3), np.uint8)


def clips(given, clip=CLIP):
    found, single = as_clips(given, clip)
    found = np.stack(list(found))
    assert found.dtype == np.uint8 and found.shape[1:] == (clip.num_frames, 8, 8, 3)
    return found, single


@pytest.mark.parametrize(
    "given",
    [
        VIDEO,
        VIDEO.transpose(0, 3, 1, 2),
        VIDEO.transpose(3, 0, 1, 2),
        list(VIDEO),
        tuple(VIDEO.transpose(0, 3, 1, 2)),
        VIDEO.astype(np.int64),
        (VIDEO / 255).astype(np.float16),
        VIDEO / 255,
        VIDEO[::-1][::-1],
        VIDEO.tolist(),
    ],
)
def test_one_clip_in_every_form(given):
    found, single = clips(given)
    np.testing.assert_array_equal(found, VIDEO[None])
    assert single


@pytest.mark.parametrize(
    "given", [GREY, GREY[..., 0], GREY.transpose(0, 3, 1, 2), list(GREY[..., 0])]
)
def test_grey_is_all_three_colours(given):
    np.testing.assert_array_equal(clips(given)[0], np.repeat(GREY, 3, -1)[None])


@pytest.mark.parametrize(
    "given",
    [
        SEVERAL,
        SEVERAL.transpose(0, 1, 4, 2, 3),
        SEVERAL.transpose(0, 4, 1, 2, 3),
        list(SEVERAL),
        [list(clip) for clip in SEVERAL],
        (clip for clip in SEVERAL),
    ],
)
def test_several_clips_in_every_form(given):
    found, single = clips(given)
    np.testing.assert_array_equal(found, SEVERAL)
    assert not single


def test_images_for_a_model_of_single_frames():
    image = VIDEO[0]
    for given in (image, image.transpose(2, 0, 1), image / 255):
        found, single = clips(given, IMAGE)
        np.testing.assert_array_equal(found, image[None, None])
        assert single
    for given in (VIDEO, list(VIDEO), iter(VIDEO), VIDEO[:, None], VIDEO.transpose(0, 3, 1, 2)):
        found, single = clips(given, IMAGE)
        np.testing.assert_array_equal(found, VIDEO[:, None])
        assert not single
    np.testing.assert_array_equal(clips(image[..., 0], IMAGE)[0][0, 0, ..., 2], image[..., 0])


def test_other_sizes_are_resized_as_predictions_see_them():
    large = RNG.integers(0, 256, (4, 20, 30, 3), np.uint8)
    wanted = np.empty((4, 8, 8, 3), np.uint8)
    resize_clip(large, wanted)
    np.testing.assert_array_equal(clips(large)[0][0], wanted)
    mixed = [*large[:2], *VIDEO[2:]]
    np.testing.assert_array_equal(clips(mixed)[0][0], [*wanted[:2], *VIDEO[2:]])
    np.testing.assert_array_equal(clips([mixed, list(VIDEO)])[0][1], VIDEO)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[[[1, 2, 3], [1, 2]]]] * 4, "a list of unequal lists: is no array"),
        (VIDEO[:3], "a clip of 3 frames: the model sees 4 frames, 1 apart"),
        (list(SEVERAL[0]) * 2, "a clip of 8 frames"),
        (VIDEO[0], r"an array of shape \[8, 8, 3\]: is no clip; one of this model is \[frames"),
        (np.zeros((4, 8, 8, 4), np.uint8), "leave the alpha channel out"),
        ([np.zeros((8, 8, 4), np.uint8)] * 4, "leave the alpha channel out"),
        (VIDEO / 255 * 4 - 2, "float pixels from -[0-9.]+ to [0-9.]+: .*are normalised, give"),
        (VIDEO.astype(np.float32), r"float pixels from \d+ to 2\d\d: .*or uint8 from 0 to 255"),
        (np.where(VIDEO > 9, np.nan, 0.5), "not finite"),
        (VIDEO.astype(np.int32) * 3, r"pixels from \d+ to 7\d+: should be from 0 to 255"),
        (VIDEO > 9, "pixels of type bool"),
        (np.zeros((4, 0, 8, 3), np.uint8), r"a frame of shape \[0, 8, 3\]"),
        (np.zeros(7), r"an array of shape \[7\]: is no clip"),
        ("video.mp4", r"'video.mp4': is no clip; of a video file take model.clips\(FILE\)"),
        (None, "is no clip"),
    ],
)
def test_what_is_no_clip_is_refused_in_words(given, said):
    with pytest.raises(UserError, match=said):
        clips(given)


def test_what_could_be_two_things_is_refused():
    with pytest.raises(UserError, match="could both be the channels; put them last"):
        clips(np.zeros((3, 3, 8, 8), np.uint8), ClipConfig(3, 1, 8))
