"""Are clips and frames called what a person finds them by in the dataset?"""

from surgvista_jax.tasks.clip_names import clip_names
from tests.support.labelled_dataset import PAST, UNIFORM, dataset


def test_a_clip_is_called_by_its_video_and_last_frame():
    names = clip_names(dataset(None, (0,) * 9), PAST)
    assert names.clip(4) == "v0 up to frame 4" and names.clip(5) == "v1 up to frame 0"


def test_a_frame_is_called_by_its_place_in_the_video():
    """Of the clip's frames, four of stride 2 or spread over nine; the first is repeated."""
    set_of_two = dataset(None, (0,) * 9)
    past, uniform = (clip_names(set_of_two, clip) for clip in (PAST, UNIFORM))
    assert [past.frame(5 + 7, place) for place in range(4)] == [
        f"v1, frame {frame}" for frame in (1, 3, 5, 7)
    ]
    assert [past.frame(2, place)[-1] for place in range(4)] == ["0", "0", "0", "2"]
    assert [uniform.frame(5 + 8, place)[-1] for place in range(4)] == ["0", "2", "4", "6"]
