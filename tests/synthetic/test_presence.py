"""Is an instrument of a made-up operation labelled where, and only where, it is seen?"""

import csv
import dataclasses

import numpy as np
import pytest

from surgvista_jax import synthetic

FPS = 5.0
# In one frame of each of these the irrigator comes in and is hardly seen.
SEEDS = (96, 188, 219)


def pixels_of(operation, frames, hand) -> np.ndarray:
    """How many pixels of each frame the instrument of a hand changes, of 96 x 96."""
    tools = operation.tools.copy()
    tools["kind"][:, hand] = -1
    without = dataclasses.replace(operation, tools=tools)
    pair = [synthetic.render(each, frames, 96).astype(int) for each in (operation, without)]
    return (np.abs(pair[0] - pair[1]).max(-1) > 30).sum((1, 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_instrument_is_labelled_where_it_is_seen(seed):
    operation = synthetic.plan_operation(seed, 100, FPS)
    clear = (operation.scene["outside"] == 0) & (operation.scene["haze"] == 0)
    unseen = 0
    for hand, kinds in enumerate(operation.tools["kind"].T):
        labelled = operation.instruments[np.arange(100), kinds] == 1
        seen = np.flatnonzero((kinds >= 0) & labelled & clear)
        assert pixels_of(operation, seen[::5], hand).min() > 60
        hidden = np.flatnonzero((kinds >= 0) & ~labelled & clear)
        unseen += len(hidden)
        assert (pixels_of(operation, hidden, hand) < 10).all()
    assert unseen > 0


def test_what_no_hand_holds_is_not_labelled():
    for seed in range(10):
        operation = synthetic.plan_operation(seed, 100, FPS)
        ids = np.arange(len(synthetic.INSTRUMENTS))
        held = (operation.tools["kind"][..., None] == ids).any(1)
        assert not operation.instruments[~held].any()
        assert not operation.instruments[operation.scene["outside"] > 0].any()
        acting = np.zeros_like(held)
        frames, triplets = np.nonzero(operation.triplets)
        acting[frames, synthetic.TRIPLET_COMPONENTS[triplets, 0]] = True
        assert operation.instruments[acting].mean() > 0.99  # but for one that is coming in


def test_the_view_is_the_circle_that_pictures_of_all_shapes_show():
    angles = np.linspace(0, 2 * np.pi, 30)
    circle = np.stack([np.cos(angles), np.sin(angles)], -1)
    for row in synthetic.plan_operation(2, 40, FPS).scene[::10]:
        x, y, zoom, _ = row["camera"]
        for radius, seen in ((0.49, True), (0.51, False)):
            points = (x, y) + radius * circle / zoom
            assert (synthetic.in_view(row[None], points[None]) == seen).all()


def test_label_files_name_them_where_asked_for(tmp_path):
    files = []
    for name, columns in (("without", synthetic.COLUMNS), ("with", synthetic.TOOL_COLUMNS)):
        (path,) = synthetic.write_videos(tmp_path / name, 1, 9, 60, FPS, 32, columns=columns)
        with open(path.with_suffix(".csv"), encoding="utf-8") as file:
            files.append((path.read_bytes(), list(csv.DictReader(file))))
    (plain_video, plain), (video, rows) = files
    assert video == plain_video
    tools = [row.pop("tools") for row in rows]
    assert rows == plain
    named = {name for cell in tools for name in cell.split(";")}
    assert len(named) > 3 and named <= {*synthetic.INSTRUMENTS, ""}
    assert any(";" in cell for cell in tools)
