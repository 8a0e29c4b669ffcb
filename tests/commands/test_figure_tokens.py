"""Is the clip that is drawn the one that was asked for?"""

import cv2

from surgvista_jax.__main__ import main
from tests.support.described_weights import write_described
from tests.support.footage import write_video


def test_a_clip_is_drawn_and_what_cannot_be_is_refused(tmp_path, capsys):
    weights = write_described("surgvista", tmp_path / "w.safetensors")
    video = write_video(tmp_path / "v.mp4", num_frames=50)
    words = ["figure", "tokens", str(video), f"--checkpoint={weights}"]
    out = tmp_path / "page.png"
    assert main([*words, f"--out={out}"]) == 0
    assert (
        "the clip that ends at second 1.2" in capsys.readouterr().out
    )  # 3 * 2 frames at 5 a second
    assert cv2.imread(str(out)).shape[0] > 3 * 160
    for more, said in (
        ([f"--out={tmp_path / 'page.jpg'}"], "a name ending in .png"),
        ([f"--out={out}", "--second=60"], "v.mp4 ends at second 1.8"),
        ([f"--out={out}", "--second=-1"], "should be 0 or more"),
    ):
        assert main([*words, *more]) == 1
        assert said in capsys.readouterr().err
