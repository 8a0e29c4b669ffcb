"""One thing is none of several."""

from surgvista_jax.counted import counted


def test_only_one_is_one():
    said = [counted(number, "video") for number in (0, 1, 2, 1000)]
    assert said == ["0 videos", "1 video", "2 videos", "1,000 videos"]
    assert counted(1, "class", "classes") == "1 class"
    assert counted(2, "file is", "files are") == "2 files are"
