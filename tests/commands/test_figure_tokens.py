"""Is the clip that is drawn the one that was asked for, and do maps reach the page?"""

import json

import cv2

from surgvista_jax.__main__ import main
from tests.support.described_weights import write_described
from tests.support.footage import write_video
from tests.support.made_operation import data_of, labels, scores, write_predictions


def test_a_clip_is_drawn_and_what_cannot_be_is_refused(tmp_path, capsys):
    weights = write_described("surgvista", tmp_path / "w.safetensors")
    video = write_video(tmp_path / "v.mp4", num_frames=50)
    words = ["figure", "tokens", str(video), f"--checkpoint={weights}"]
    out = tmp_path / "page.png"
    assert main([*words, f"--out={out}"]) == 0
    assert (
        "the clip that ends at second 1.2" in capsys.readouterr().out
    )  # 3 * 2 frames at 5 a second
    assert cv2.imread(str(out)).shape[0] > 4 * 160
    for more, said in (
        ([f"--out={tmp_path / 'page.jpg'}"], "should be a name ending in .png"),
        ([f"--out={out}", "--second=60"], "v.mp4 ends at second 1.8"),
        ([f"--out={out}", "--second=-1"], "should be 0 or more"),
        ([f"--out={out}", "--every=1"], "--every: is not for page.png"),
        ([f"--out={tmp_path / 'maps.json'}", "--second=1"], "--second: is not for maps.json"),
    ):
        assert main([*words, *more]) == 1
        assert said in capsys.readouterr().err
    maps = tmp_path / "maps.json"
    assert main([*words, f"--out={maps}", "--every=0.4"]) == 0
    assert "5 maps" in capsys.readouterr().out
    lanes = json.loads(maps.read_text())["lanes"]
    assert [lane["title"] for lane in lanes] == ["Attention", "Components of the tokens"]
    assert lanes[0]["seconds"] == [0, 0.4, 0.8, 1.2, 1.6]
    predicted = write_predictions(tmp_path / "p.npz", scores(labels(2)), video="v")
    pages = ["view", str(predicted), f"--lanes={maps}", f"--out={tmp_path / 'pages'}"]
    assert main(pages) == 0
    told = data_of((tmp_path / "pages" / "v.html").read_text())["lanes"]
    assert [lane["images"] for lane in told] == [lane["images"] for lane in lanes]
