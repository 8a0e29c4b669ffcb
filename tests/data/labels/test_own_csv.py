"""Do a user's label files mean what he meant by them, or say which line does not?"""

import pytest

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.video_table import VideoNames
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class
from tests.support.convert_run import write

SECONDS = [0.0, 1.0, 2.0, 3.0]


def read(tmp_path, text, task="phase", told=None):
    """The classes, the labels of video `a` at four seconds, and everything that is said."""
    path = write(tmp_path / "labels.csv", text)
    columns = LabelColumns(task, told=frozenset(map(same_class, told or ())))
    names = VideoNames(tmp_path / "in", {"a.mp4": "a", "day 1/b.mp4": "day 1/b"})
    files = LabelFiles(path, columns, told, names)
    classes, notes = files.classes()
    track = files.track("a", classes)
    return classes, track.at(SECONDS), " | ".join((*notes, *track.notes))


@pytest.mark.parametrize("mark", ["-1", "-100", "nan", "NaN", "None", "null", "-1.0", "n/a"])
def test_what_says_that_there_is_no_label_is_no_class(tmp_path, mark):
    for text in (
        f"video,second,label\na,0,cut\na,1,{mark}\na,2,cut\n",
        f"video,start,end,label\na,0,1,cut\na,1,2,{mark}\na,2,3,cut\n",
    ):
        classes, labels, said = read(tmp_path, text)
        assert classes == ("cut",) and labels == (0, UNLABELLED, 0, UNLABELLED)
        assert f"{mark!r} in 1 line(s): unlabelled" in said


def test_a_class_that_the_user_names_is_one_whatever_it_is_called(tmp_path):
    text = "video,second,label\na,0,none\na,1,cut\n"
    classes, labels, said = read(tmp_path, text, told=("None", "cut"))
    assert classes == ("None", "cut") and labels[:2] == (0, 1)
    assert "class 'none' is taken for 'None'" in said


def test_other_negative_numbers_are_a_mistake(tmp_path):
    for told in (None, ("1", "2")):
        for text in ("-2", "-2.0", "- 2", "\u22122", "-1.5", "-99"):
            with pytest.raises(UserError, match="line 3: class '.*': only -1 and -100 say"):
                read(tmp_path, f"video,second,label\na,0,1\na,1,{text}\n", told=told)
    classes, _, _ = read(tmp_path, "video,second,label\na,0,1.0\na,1,2e+00\na,2,01\n")
    assert classes == ("1", "2")


def test_spellings_of_one_name_are_one_class(tmp_path):
    names = ("Pr\u00e4p", "Pra\u0308p", " pr\u00e4p", "1", "1.0", "cystic duct", "cystic\u00a0duct")
    lines = "".join(f"a,{k},{name}\n" for k, name in enumerate(names))
    classes, labels, said = read(tmp_path, "video,second,label\n" + lines)
    assert classes == ("Pr\u00e4p", "1", "cystic duct") and labels == (0, 0, 0, 1)
    assert "'1', '1.0' are one class" in said and "('Pra\\u0308p')" in said
    with pytest.raises(UserError, match="--classes: classes cut, Cut: 'Cut' must be a name, and"):
        read(tmp_path, "video,second,label\na,0,cut\n", told=("cut", "Cut"))


def test_several_classes_a_frame_or_none_or_no_label(tmp_path):
    text = "video,second,tools\na,0,Hook;clip\na,1,\na,2,nan\na,3,hook\n"
    classes, labels, said = read(tmp_path, text, task="tool")
    assert classes == ("Hook", "clip")
    assert labels == ((0, 1), (), UNLABELLED, (0,))
    assert "'nan' in 1 line(s)" in said and "'Hook', 'hook' are one class" in said
    with pytest.raises(UserError, match="line 2: '-1' beside classes that are told"):
        read(tmp_path, "video,second,tools\na,0,hook;-1\n", task="tool")
    with pytest.raises(UserError, match="line 2: outside of intervals no class is on"):
        read(tmp_path, "video,start,end,tools\na,0,1,nan\na,1,2,clip\n", task="tool")


def test_a_column_for_each_class(tmp_path):
    text = "video,second,cvs_one,cvs_two\na,0,1,0\na,1,1.0,0.0\na,2,-1,-1\na,3,,\n"
    classes, labels, said = read(tmp_path, text, task="cvs")
    assert classes == ("one", "two") and labels == ((0,), (0,), UNLABELLED, UNLABELLED)
    assert "'-1' in 1 line(s)" in said and "'an empty cell' in 1 line(s)" in said
    for text, fault in (
        ("video,second,cvs_one,cvs_One\na,0,1,0\n", "class of column 'One' has two columns"),
        ("video,second,cvs_one,cvs_two\na,0,-1,0\n", "line 2: '-1' beside classes that are told"),
        ("video,second,cvs_one,cvs_two\na,0,2,0\n", "line 2: column 'cvs_one' must be 0 or 1"),
    ):
        with pytest.raises(UserError, match=fault):
            read(tmp_path, text, task="cvs")


def test_whole_numbers_may_be_written_with_a_point(tmp_path):
    _, labels, _ = read(tmp_path, "video,second,label\na,0.0,x\na,1.0,y\na,3.0,x\n")
    assert labels == (0, 1, UNLABELLED, 0)
    _, labels, _ = read(tmp_path, "video,frame,second,label\na,2.0,1,x\na,0.0,0.0,y\na,4,2,y\n")
    assert labels[:3] == (1, 0, 1)  # two frames a second, in any order
    with pytest.raises(UserError, match="second 0.5 is not a whole one; .* need a column frame"):
        read(tmp_path, "video,second,label\na,0,x\na,0.5,x\n")
    with pytest.raises(UserError, match="line 3: frame 5 cannot be at second 0"):
        read(tmp_path, "video,frame,second,label\na,0,0,x\na,5,0,x\n")
    with pytest.raises(UserError, match="line 3: column 'second': 'inf' is neither seconds"):
        read(tmp_path, "video,frame,second,label\na,0,0,x\na,1,inf,x\n")


def test_a_rate_that_is_nearly_whole_is_not_rounded_where_it_would_shift_labels(tmp_path):
    # An hour at 29.97 a second: of 30, the last frame would be 3.6 s earlier.
    def track(last):
        text = f"video,frame,second,label\na,0,0,x\na,{last},y\n"
        path = write(tmp_path / "labels.csv", text)
        names = VideoNames(tmp_path, {"a.mp4": "a"})
        return LabelFiles(path, LabelColumns("phase"), None, names).track("a", ("x", "y"))

    assert track("107892,3600").fps == track("107892,3600.000").fps == pytest.approx(29.97)
    assert track("4,0.133").fps == track("249,8.300").fps == 30  # thousandths


def test_frames_at_other_seconds_than_those_of_their_rate_are_a_mistake(tmp_path):
    uneven = "video,frame,second,label\na,0,0,x\na,25,9,x\na,75,3,y\n"
    with pytest.raises(UserError, match=r"line 3: frame 25 is at second 9, .*, line 4\) .* at 1;"):
        read(tmp_path, uneven)
    whole = "".join(f"a,{k},{k // 25},{'xy'[k > 60]}\n" for k in range(101))
    _, labels, _ = read(tmp_path, "video,frame,second,label\n" + whole)
    assert labels == (0, 0, 0, 1)


@pytest.mark.parametrize("column", ["path", "video"])
@pytest.mark.parametrize("clip", ["a.mp4", "a", "in/a.mp4", "{folder}/in/a.mp4"])
def test_a_label_for_a_whole_clip(tmp_path, column, clip):
    clip = clip.format(folder=tmp_path)
    text = f"{column},label\n{clip},cut\nday 1\\b.mp4,sew\n"
    classes, labels, _ = read(tmp_path, text, task="action")
    assert classes == ("cut", "sew") and labels == (0, 0, 0, 0)
    with pytest.raises(UserError, match="line 4: a second line for this clip"):
        read(tmp_path, text + f"{clip},sew\n", task="action")


def test_whole_clips_with_several_classes_or_no_label(tmp_path):
    _, labels, _ = read(tmp_path, "path,tools\na.mp4,hook;clip\nb.mp4,nan\n", task="tool")
    assert labels == ((0, 1),) * 4
    _, labels, _ = read(tmp_path, "path,tools,split\na.mp4,,train\nb.mp4,hook,train\n", task="tool")
    assert labels == ((),) * 4
    _, labels, said = read(tmp_path, "path,label\na.mp4,-1\nb.mp4,cut\n", task="action")
    assert labels == (UNLABELLED,) * 4 and "'-1' in 1 line(s)" in said


@pytest.mark.parametrize("extra", ["begin", "frame", "t"])
def test_a_column_that_may_be_a_time_makes_no_whole_clip(tmp_path, extra):
    with pytest.raises(UserError, match="line 2: columns start and end, or second, or frame and"):
        read(tmp_path, f"path,{extra},label\na.mp4,0,cut\n", task="action")


def test_a_video_that_is_not_there_is_named_with_what_is_near(tmp_path):
    with pytest.raises(UserError, match="line 3: no video 'day 1/bb.mp4'; did you mean 'day 1/b'"):
        read(tmp_path, "path,label\na,x\nday 1/bb.mp4,x\n")
    with pytest.raises(UserError, match="line 2: no video 'x/a.mp4'"):  # another a.mp4 than ours
        read(tmp_path, "path,label\nx/a.mp4,x\n")


def test_a_file_a_video_in_whichever_unicode_form(tmp_path):
    names = VideoNames(tmp_path / "in", {"Ba\u0308r.mp4": "Ba\u0308r"})
    write(tmp_path / "l" / "B\u00e4r.csv", "second,label\n0,cut\n1,sew\n")
    write(tmp_path / "l" / "old" / "B.csv", "second,label\n0,x\n")
    files = LabelFiles(tmp_path / "l", LabelColumns("phase"), None, names)
    classes, notes = files.classes()
    assert files.track("Ba\u0308r", classes).at(SECONDS) == (0, 1, UNLABELLED, UNLABELLED)
    assert "1 file is of no video: old/B.csv" in notes


def test_frames_that_count_from_1_are_counted_from_0(tmp_path):
    lines = "".join(f"a,{k + 1},{k},{'cut' if k < 2 else 'sew'}\n" for k in range(4))
    _, labels, said = read(tmp_path, "video,frame,second,label\n" + lines)
    assert labels == (0, 0, 1, 1) and "frames are numbered from 1, at second 0" in said


def test_a_video_that_no_file_and_no_line_speaks_of_is_said_alike(tmp_path):
    write(tmp_path / "labels" / "a.csv", "second,label\n0,cut\n")
    write(tmp_path / "labels.csv", "video,second,label\na,0,cut\n")
    names = VideoNames(tmp_path / "in", {"a.mp4": "a", "b.mp4": "b"})
    for path, what in ((tmp_path / "labels", "file"), (tmp_path / "labels.csv", "line")):
        files = LabelFiles(path, LabelColumns("phase"), None, names)
        classes, _ = files.classes()
        track = files.track("b", classes)
        assert track.at(SECONDS) == (UNLABELLED,) * 4
        assert track.notes == (f"there is no {what} of it in {path}: unlabelled",)


@pytest.mark.parametrize("told", [None, ("cut",)])
@pytest.mark.parametrize("text", ["", "second,label\n", "second,label\n\n  \n"])
def test_an_empty_label_file_is_a_mistake(tmp_path, text, told):
    write(tmp_path / "labels" / "a.csv", text)
    write(tmp_path / "labels" / "b.csv", "second,label\n0,cut\n")
    names = VideoNames(tmp_path / "in", {"a.mp4": "a", "b.mp4": "b"})
    files = LabelFiles(tmp_path / "labels", LabelColumns("phase"), told, names)
    with pytest.raises(UserError, match="a.csv: no line with a label in it"):
        files.track("a", files.classes()[0])
    names = VideoNames(tmp_path / "in", {"c.mp4": "c"})
    with pytest.raises(UserError, match="no file of any video in it; the first would be .*c.csv"):
        LabelFiles(tmp_path / "labels", LabelColumns("phase"), told, names).classes()


def test_names_that_are_nearly_one_are_named(tmp_path):
    lines = "".join(f"a,{k},{name}\n" for k, name in enumerate(("Prep", "Prep.", "Pr\u00e9p")))
    classes, _, said = read(tmp_path, "video,second,label\n" + lines)
    assert len(classes) == 3 and "nearly equal names are classes of their own: 'Prep', " in said
