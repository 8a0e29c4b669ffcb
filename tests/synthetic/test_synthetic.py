"""Are made-up operations deterministic, labelled as they look, and learnable from motion?"""

import csv
import dataclasses
import resource

import av
import cv2
import numpy as np
import pytest

from surgvista_jax import synthetic
from surgvista_jax.errors import UserError
from surgvista_jax.synthetic.tissue import paint_tissue

SIZE = 64
FPS = 5.0


def plan(seed, num_frames=120):
    return synthetic.plan_operation(seed, num_frames, FPS)


def without_instruments(operation):
    tools = operation.tools.copy()
    tools["kind"] = -1
    return dataclasses.replace(operation, tools=tools)


def test_same_seed_same_pixels_other_seed_other_pixels():
    first = synthetic.render(plan(3), [10, 50, 100], SIZE)
    paint_tissue.cache_clear()
    again = synthetic.render(plan(3), [10, 50, 100], SIZE)
    other = synthetic.render(plan(4), [10, 50, 100], SIZE)
    assert first.shape == (3, SIZE, SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 8


def test_frame_drawn_alone_equals_frame_drawn_in_sequence():
    operation = plan(5)
    sequence = synthetic.render(operation, range(120), 48)
    for frame in (0, 33, 71, 95, 119):
        paint_tissue.cache_clear()
        np.testing.assert_array_equal(synthetic.render(operation, [frame], 48)[0], sequence[frame])


def test_sizes_show_the_same_view():
    operation = plan(6)
    small, large = (synthetic.render(operation, [60], s)[0].astype(float) for s in (SIZE, 128))
    shrunk = cv2.resize(large, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(small.mean(-1).ravel(), shrunk.mean(-1).ravel())[0, 1] > 0.8
    assert synthetic.render(operation, [60], (48, 80)).shape == (1, 48, 80, 3)


@pytest.mark.parametrize("num_frames", [28, 120, 301])
def test_labels_have_right_lengths_ranges_and_order(num_frames):
    skipped = 0
    for seed in range(20):
        operation = plan(seed, num_frames)
        assert operation.num_frames == num_frames == len(operation.tools) == len(operation.scene)
        assert operation.triplets.shape == (num_frames, len(synthetic.TRIPLETS))
        assert operation.cvs.shape == (num_frames, len(synthetic.CVS_CRITERIA))
        assert set(np.unique(operation.cvs)) | set(np.unique(operation.triplets)) <= {0, 1}
        visited = operation.phase[np.flatnonzero(np.diff(operation.phase, prepend=-1))]
        assert (np.diff(visited) > 0).all() and set(visited) <= set(range(len(synthetic.PHASES)))
        assert len(visited) >= len(synthetic.PHASES) - 1
        assert {1, 2, 3, 4} <= set(visited)
        skipped += len(visited) < len(synthetic.PHASES)
    assert 0 < skipped < 20


def test_rate_changes_the_pace_of_motion_but_not_the_script():
    slow, fast = (synthetic.plan_operation(8, 120, fps) for fps in (5.0, 25.0))
    np.testing.assert_array_equal(slow.phase, fast.phase)
    steps = [
        np.linalg.norm(np.diff(o.tools["tip"][:, 1][o.phase == 1], axis=0), axis=1)
        for o in (slow, fast)
    ]
    assert np.median(steps[0]) > 2 * np.median(steps[1])


def test_triplet_table_is_consistent():
    assert len(set(synthetic.TRIPLETS)) == len(synthetic.TRIPLETS)
    named = [
        (synthetic.INSTRUMENTS[i], synthetic.VERBS[v], synthetic.TARGETS[t])
        for i, v, t in synthetic.TRIPLET_COMPONENTS
    ]
    assert named == list(synthetic.TRIPLETS)
    for column, names in enumerate((synthetic.INSTRUMENTS, synthetic.VERBS, synthetic.TARGETS)):
        assert set(synthetic.TRIPLET_COMPONENTS[:, column]) == set(range(len(names)))


def test_action_and_triplets_name_what_the_instruments_do():
    seen = np.zeros(len(synthetic.TRIPLETS), int)
    for seed in range(10):
        operation = plan(seed)
        seen += operation.triplets.sum(0, dtype=int)
        for frame in range(operation.num_frames):
            ids = np.flatnonzero(operation.triplets[frame])
            tools, verbs, _ = synthetic.TRIPLET_COMPONENTS[ids].T
            assert len(ids) <= 2
            assert set(tools) <= set(operation.tools["kind"][frame])
            if operation.action[frame] >= 0:
                assert operation.action[frame] in verbs
            else:
                assert len(ids) == 0
    assert (seen > 0).all()


def test_named_instruments_are_drawn_where_their_tips_are():
    drawn = set()
    for seed in range(3):
        operation = plan(seed)
        frames = np.flatnonzero(operation.triplets.any(1) & (operation.scene["haze"] == 0))[::3]
        pair = [
            synthetic.render(shown, frames, 96)
            for shown in (operation, without_instruments(operation))
        ]
        change = np.abs(pair[0].astype(int) - pair[1]).max(-1)
        for frame, changed in zip(frames, change, strict=True):
            scene = operation.scene[frame]
            for tool in operation.tools[frame]:
                if tool["verb"] < 0:
                    continue
                # From the tip to a shaft's width behind it, where every instrument has material.
                axis = tool["tip"] - tool["port"]
                behind = tool["tip"] - 0.06 * axis / np.linalg.norm(axis)
                x, y = synthetic.project(scene, behind, 96, 96)
                assert np.hypot(x - 48, y - 48) < 0.55 * 96, "out of the endoscope's view"
                x, y = round(x), round(y)
                near = changed[max(y - 4, 0) : y + 5, max(x - 4, 0) : x + 5]
                assert near.max() > 30, (seed, frame, synthetic.INSTRUMENTS[tool["kind"]])
                drawn.add(int(tool["kind"]))
    assert drawn == set(range(len(synthetic.INSTRUMENTS)))


def test_instruments_of_one_scene_look_different():
    operation = plan(1)
    looks = []
    for kind in range(len(synthetic.INSTRUMENTS)):
        tools = operation.tools.copy()
        tools["kind"] = np.where(tools["kind"] >= 0, kind, -1)
        looks.append(
            synthetic.render(dataclasses.replace(operation, tools=tools), [50], 96)[0].astype(int)
        )
    for a in range(len(looks)):
        for b in range(a):
            assert (np.abs(looks[a] - looks[b]).max(-1) > 40).sum() > 60, (a, b)


@pytest.mark.parametrize("criterion", range(3))
def test_critical_view_shows_in_the_picture(criterion):
    operation = next(o for o in map(plan, range(20)) if o.cvs.any(0).all())
    bare = without_instruments(operation)
    frame = np.flatnonzero(operation.cvs.all(1))[0]
    whole = operation.scene.copy()
    whole["reveal"][:, criterion] = 0
    shown = synthetic.render(bare, [frame], 96).astype(int)
    hidden = synthetic.render(dataclasses.replace(bare, scene=whole), [frame], 96)
    assert (np.abs(shown - hidden).max(-1) > 25).sum() > 100
    assert not operation.cvs[operation.phase > 2].any()
    assert (operation.scene["reveal"][operation.cvs[:, criterion] == 1, criterion] > 0.5).all()


def test_operations_differ_in_which_criteria_are_met():
    met = np.array([plan(seed).cvs.any(0) for seed in range(30)])
    assert (met.any(0) & ~met.all(0)).all()


def test_action_clips_show_one_action_throughout():
    for action in range(len(synthetic.ACTIONS)):
        clip = synthetic.plan_action(7, action, 20, FPS)
        assert (clip.action == action).all()
        acting = synthetic.TRIPLET_COMPONENTS[np.flatnonzero(clip.triplets.any(0)), 1]
        assert action in acting and clip.video.startswith(synthetic.ACTIONS[action])


def test_fluid_rises_while_irrigating_and_falls_while_aspirating():
    pools = {
        verb: synthetic.plan_action(2, synthetic.ACTIONS.index(verb), 30, FPS).scene["pool"]
        for verb in ("irrigate", "aspirate")
    }
    assert (np.diff(pools["irrigate"]) >= 0).all() and np.ptp(pools["irrigate"]) > 0.5
    assert (np.diff(pools["aspirate"]) <= 0).all() and np.ptp(pools["aspirate"]) > 0.5


def features(seed):
    """Phases [N] and, of small pictures, mean colour, appearance and recent motion."""
    operation = plan(seed, 80)
    video = synthetic.render(operation, range(80), 48).astype(np.float32) / 255
    tiles = video.reshape(80, 12, 4, 12, 4, 3).mean((2, 4))
    past = np.maximum(np.arange(80)[:, None] - np.arange(8), 0)
    motion = np.abs(np.diff(tiles.mean(-1)[past], axis=1)).mean(1)
    return operation.phase, video.mean((1, 2)), tiles.reshape(80, -1), motion.reshape(80, -1)


def accuracy(train, labels, test, truth):
    """Of a ridge classifier on standardised features, on operations that it has not seen."""
    mean, spread = train.mean(0), train.std(0) + 1e-3
    train, test = (np.c_[(x - mean) / spread, np.ones(len(x))] for x in (train, test))
    gram = train.T @ train + 300.0 * np.eye(train.shape[1])
    weights = np.linalg.solve(gram, train.T @ (2 * np.eye(7)[labels] - 1))
    return ((test @ weights).argmax(1) == truth).mean()


PICKS = {
    "mean colour": lambda parts: parts[1],
    "appearance": lambda parts: parts[2],
    "appearance and motion": lambda parts: np.c_[parts[2], parts[3]],
}


def held_out_accuracy(first: int) -> dict[str, float]:
    """Nine operations to learn from and four to judge by, of seeds from `first` on."""
    seen, held_out = (
        [np.concatenate(part) for part in zip(*map(features, seeds), strict=True)]
        for seeds in (range(first, first + 9), range(first + 9, first + 13))
    )
    return {
        name: accuracy(pick(seen), seen[0], pick(held_out), held_out[0])
        for name, pick in PICKS.items()
    }


def test_phases_are_learnable_and_better_with_motion():
    """Over three sets of operations: of a single one the gain lies between 0.03 and 0.11."""
    scores = [held_out_accuracy(first) for first in (0, 100, 200)]
    score = {name: np.mean([each[name] for each in scores]) for name in PICKS}
    assert score["appearance and motion"] > 0.75, score
    assert score["appearance and motion"] > score["appearance"] + 0.03, score
    assert score["mean colour"] < 0.5, score


def test_videos_and_their_labels_on_disk(tmp_path):
    folder = tmp_path / "naïve videos"
    (path, second) = synthetic.write_videos(folder, 2, 9, 40, FPS, SIZE)
    with av.open(str(path)) as video:
        assert video.streams.video[0].average_rate == FPS
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 40
    assert frames[0].shape == (SIZE, SIZE, 3) and np.std(frames[0]) > 20
    with open(path.with_suffix(".csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == synthetic.COLUMNS and len(rows) == 40
    assert [int(row["frame"]) for row in rows] == list(range(40))
    assert {row["video"] for row in rows} == {path.stem}
    assert {row["phase"] for row in rows} <= set(synthetic.PHASES)
    triplets = {name for row in rows for name in row["triplets"].split(";") if name}
    assert len(triplets) > 3 and triplets <= {"-".join(names) for names in synthetic.TRIPLETS}

    for number, same in enumerate((path, second)):
        (alone,) = synthetic.write_videos(tmp_path / "one", 1, 9, 40, FPS, SIZE, first=number)
        assert alone.with_suffix(".csv").read_text() == same.with_suffix(".csv").read_text()
        assert alone.read_bytes() == same.read_bytes()


def test_action_clips_on_disk(tmp_path):
    paths = synthetic.write_action_clips(tmp_path, 1, 0, 6, FPS, 32)
    assert [path.stem.rsplit("_", 1)[0] for path in paths] == list(synthetic.ACTIONS)
    for path in paths:
        with open(path.with_suffix(".csv"), encoding="utf-8") as file:
            assert {row["action"] for row in csv.DictReader(file)} == {path.stem[:-3]}


@pytest.mark.parametrize("room", (300, 2000, 6000))  # bytes a file; the video has 9 kB
def test_a_video_cut_short_by_a_full_disk_is_not_taken_for_whole(tmp_path, room):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(UserError, match=r"operation_00.mp4: cannot be written .*disk full"):
            synthetic.write_videos(tmp_path, 1, 9, 40, FPS, 64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_mistakes_are_one_clear_line(tmp_path):
    blocker = tmp_path / "file"
    blocker.touch()
    for call, words in (
        (lambda: plan(0, 27), "num_frames 27"),
        (lambda: synthetic.plan_operation(0, 120, 0.0), "fps 0"),
        (lambda: synthetic.plan_action(0, 9, 20, FPS), "action 9"),
        (lambda: synthetic.render(plan(0), [0], 16), "size 16"),
        (lambda: synthetic.write_videos(tmp_path, 1, 0, 40, FPS, 65), "even"),
        (lambda: synthetic.write_videos(blocker, 1, 0, 40, FPS, 64), "file"),
    ):
        with pytest.raises(UserError, match=words) as error:
            call()
        assert "\n" not in str(error.value)
    with pytest.raises(IndexError, match="frame 120"):
        synthetic.render(plan(0), [120], SIZE)
