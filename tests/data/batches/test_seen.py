"""Is what a run is said to have seen what its batches held?"""

import dataclasses

import numpy as np
import pytest

from surgvista_jax.data.batches.masked import describe_clip
from surgvista_jax.data.batches.seen import seen_after
from surgvista_jax.data.batches.stretches import stretches_of
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.mixture import mix
from tests.support.masked_batches import CLIP, batches, make_dataset

TUBELET = 2


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    """Two folders of the same videos: of each, clips of 9, 1 and 13 frames; and a shorter one."""
    root = tmp_path_factory.mktemp("mixture")
    datasets = [make_dataset(root / name) for name in ("one", "two")]
    short: Video = datasets[1].videos[1]
    cut = dataclasses.replace(datasets[1], splits={"train": (short.video,)}).split("train")
    return mix([datasets[0], cut])


@pytest.mark.parametrize("weights", [{}, {"one": 1, "two": 3}])
@pytest.mark.parametrize("slide", [1, 3])
def test_it_is_what_the_batches_held(mixture, weights, slide):
    clip, rows, steps = dataclasses.replace(CLIP, slide=slide), 4, 7
    held = {"one": [], "two": []}
    for batch in batches(mixture, clip=clip, steps=steps, batch_size=rows, weights=weights):
        places = batch["index"][:, None] - TUBELET * clip.stride * np.arange(slide - 1, -1, -1)
        kept = batch["weight"] > 0 if slide > 1 else np.ones_like(places, bool)
        for index in places[kept]:
            folder, _, video = describe_clip(mixture, int(index))[0].partition("/")
            held[folder].append(video)
    stretches = stretches_of([video.num_frames for video in mixture.videos], clip, TUBELET)
    seen = seen_after(steps * rows, mixture, stretches, weights, seed=7)
    assert [each.name for each in seen] == ["one", "two"]
    total = sum(map(len, held.values()))
    for each in seen:
        assert each.clips_seen == len(held[each.name])
        assert each.videos_seen == len(set(held[each.name]))
        assert each.share_seen == pytest.approx(len(held[each.name]) / total)
        assert each.epochs == each.clips_seen / each.clips
    asked = [0.25, 0.75] if weights else [23 / 24, 1 / 24]
    assert [each.share_asked for each in seen] == pytest.approx(asked)


def test_nothing_is_seen_before_the_first_step(mixture):
    stretches = stretches_of([video.num_frames for video in mixture.videos], CLIP, TUBELET)
    for each in seen_after(0, mixture, stretches, {}, seed=3):
        assert each.clips_seen == each.videos_seen == each.share_seen == 0
