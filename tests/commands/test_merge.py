"""What machines make in parts, and merge, is what one run makes: every file, byte for byte."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from surgvista_jax.commands import merge
from surgvista_jax.data.storage.feature_folder import FeatureFolder
from surgvista_jax.inference import moments_in_parts
from surgvista_jax.ownership import Ownership
from surgvista_jax.parts.plan_file import FOLDER
from surgvista_jax.parts.words import arguments_of, options_of, words_of
from surgvista_jax.predictions.npz import read_npz
from tests.support import footage
from tests.support.convert_run import run, write
from tests.support.described_weights import write_described
from tests.support.one_device import all_on_one_device  # noqa: F401

OF = 4
# Ends the process, as the kernel does when memory is short, right after the first video is entered.
KILLED = """
import os, signal, sys
from surgvista_jax.__main__ import main
from surgvista_jax.data.conversion.journal import Journal
append = Journal.append
def killed(journal, entry):
    append(journal, entry)
    os.kill(os.getpid(), signal.SIGKILL)
Journal.append = killed
main(sys.argv[1:])
"""


class Killed(Exception):
    pass


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def dies_after(monkeypatch, owner, name: str, calls: int = 1):
    """Has a process die, as far as it can be told from inside, after so many calls."""
    whole, left = getattr(owner, name), [calls]

    def dying(*given, **options):
        result = whole(*given, **options)
        left[0] -= 1
        if not left[0]:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, dying)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Videos of several lengths and kinds, one that cannot be read, with labels."""
    folder = tmp_path_factory.mktemp("material")
    for number in range(7):
        footage.write_video(folder / "in" / f"v{number}.avi", 20 + 5 * number)
    footage.write_images(folder / "in" / "a", [(48, 32)] * 3)
    footage.write_images(folder / "in" / "a" / "b", [(48, 32)] * 2)
    write(folder / "in" / "text.mp4", "no video")
    lines = [f"v{number},0,{1 + number / 5:g},{'ab'[number % 2]}" for number in range(7)]
    write(folder / "labels.csv", "\n".join(["video,start,end,label", *lines, ""]))
    return folder


def convert(material: Path, out: Path, *more) -> list[str]:
    words = ["data", "convert", "videos", "--source", material / "in", "--out", out, "--fps", 5]
    labels = ["--labels", material / "labels.csv", "--workers", 1]
    return [str(word) for word in (*words, *labels, *more)]


@pytest.fixture(scope="module")
def whole(material):
    """One run."""
    code, _, _ = run(*convert(material, material / "whole"))
    assert code == 1  # of the video that cannot be read
    return material / "whole"


@pytest.fixture(scope="module")
def unmerged(material, whole):
    """Four parts, the second of which was killed and started again."""
    out = material / "parts"
    words = [sys.executable, "-c", KILLED, *convert(material, out, "--part", "2/4")]
    killed = subprocess.run(words, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    (part,) = (out / FOLDER / "data-convert").glob("2/")
    assert len(list((part / "frames").iterdir())) == 1
    codes = []
    for number in (4, 2, 3, 1):
        code, said, _ = run(*convert(material, out, "--part", f"{number}/{OF}"))
        codes.append(code)
        if number == 2:
            assert "3 videos, " in said and "2 videos extracted now" in said
    assert sorted(codes) == [0, 0, 0, 1]
    assert not (out / "dataset.json").exists() and not (out / "frames").exists()
    return out


@pytest.fixture
def parts(unmerged, tmp_path):
    shutil.copytree(unmerged, tmp_path / "parts")
    return tmp_path / "parts"


def test_a_conversion_in_parts_is_that_of_one_run(parts, whole, monkeypatch):
    code, said, told = run("merge", parts)
    assert code == 1 and f"{parts}: 9 videos, " in said
    assert "text.mp4: not a video that can be opened" in told
    assert tree(parts) == tree(whole)
    code, _, told = run("merge", parts)
    assert code == 1 and told == f"surgvista: {parts}: no parts of a command are here to be merged"


@pytest.mark.parametrize(
    ("owner", "name", "calls"),
    [
        ("surgvista_jax.data.conversion.placing.FrameFolders", "note", 2),
        ("surgvista_jax.data.conversion.placing.FrameFolders", "install", 3),
        ("surgvista_jax.data.conversion.journal.Journal", "append", 4),
        ("surgvista_jax.data.conversion.convert", "write_dataset", 1),
        ("surgvista_jax.parts.sweep", "clear_asides", 3),
    ],
)
def test_a_merge_that_was_killed_goes_on(material, parts, whole, monkeypatch, owner, name, calls):
    with monkeypatch.context() as patch:
        dies_after(patch, import_from(owner), name, calls)
        with pytest.raises(Killed):
            run("merge", parts)
    assert tree(parts) != tree(whole)
    before = tree(parts)
    told = run(*convert(material, parts, "--part", "1/4"))
    assert told[0] == 1 and "--part" not in told[2].replace("without --part", "")
    if name in ("install", "append"):  # some videos are moved, and no dataset is there
        assert f'type `surgvista merge {parts} --of="data convert"` alone' in told[2]
    assert tree(parts) == before
    code, _, told = run("merge", parts)
    assert code in (0, 1) and "surgvista:" not in told
    assert tree(parts) == tree(whole)


def import_from(name: str):
    module, _, last = name.rpartition(".")
    __import__(module)
    found = getattr(sys.modules[module], last, None)
    return sys.modules[name] if found is None else found


def refused(*words) -> str:
    """The one line with which a command is refused."""
    code, _, told = run(*words)
    lines = [line for line in told.splitlines() if "not a video that" not in line]
    assert code == 1 and len(lines) == 1 and lines[0].startswith("surgvista: "), told
    return lines[0]


def test_what_does_not_belong_together_is_one_line(material, parts, whole):
    before = tree(parts)
    part = ("--part", "2/4")
    again = convert(material, parts, *part)
    assert "is divided into 4 parts already, not 3: give --part I/4" in refused(
        *convert(material, parts, "--part", "2/3")
    )
    assert "fps was 5.0 and is 2.0" in refused(*again, "--fps", 2)
    assert "with other options: source was " in refused(*again, "--source", whole)
    assert "is being made in 4 parts: go on with --part I/4" in refused(*convert(material, parts))
    assert "was begun without --part" in refused(*convert(material, whole, *part))
    assert "no parts of `surgvista predict` are here" in refused("merge", parts, "--of=predict")
    assert "there is no such folder" in refused("merge", parts / "nowhere")
    for text in ("0/4", "5/4", "x"):
        assert f"--part {text}: " in refused(*convert(material, parts, "--part", text))
    assert tree(parts) == before


def test_what_is_missing_is_named_and_nothing_is_moved(material, parts):
    place = parts / FOLDER / "data-convert"
    (place / "4.json").unlink()
    shutil.rmtree(place / "1")
    (place / "1.json").unlink()
    before = tree(parts)
    line = refused("merge", parts)
    assert "part 1/4 was not begun, part 4/4 has not ended" in line
    assert "--part 1/4` (again), then merge" in line
    assert tree(parts) == before
    for number in (1, 4):
        run(*convert(material, parts, "--part", f"{number}/4"))
    first = next(place.glob("*/frames/v*/000003.jpg"))
    first.unlink()
    line = refused("merge", parts)
    assert f"part {first.parents[2].name}/4 is not whole, frames of video 'v" in line


def test_a_source_that_changed_is_named(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    footage.write_video(source / "v.avi", 5)
    words = ["data", "convert", "videos", "--source", source, "--out", out]
    assert run(*words, "--part", "2/2")[0] == 0  # the one video is the first part's
    footage.write_video(source / "new.avi", 5)
    assert "its parts were begun when new was not there" in refused(*words, "--part", "1/2")
    (source / "new.avi").unlink()
    footage.write_video(source / "v.avi", 50)
    assert "v was of another size" in refused(*words, "--part", "1/2")


def test_a_part_at_work_is_not_merged(parts):
    place = parts / FOLDER / "data-convert" / "3"
    holds = f"from surgvista_jax.locking import alone_in\nwith alone_in(Path({str(place)!r})):"
    code = f"from pathlib import Path\n{holds} print(flush=True), input()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert "another process is at work here" in refused("merge", parts)
        other.communicate(b"\n")


def test_a_start_beside_one_at_work_takes_no_end_away(material, parts):
    place = parts / FOLDER / "data-convert"
    before = (place / "3.json").read_bytes()
    holds = (
        f"from surgvista_jax.locking import alone_in\nwith alone_in(Path({str(place / '3')!r})):"
    )
    code = f"from pathlib import Path\n{holds} print(flush=True), input()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        told = run(*convert(material, parts, "--part", "3/4"))
        assert told[0] == 1 and "wait for its end, or do another part" in told[2]
        other.communicate(b"\n")
    assert (place / "3.json").read_bytes() == before


def test_a_word_is_no_folder_of_that_name(material, tmp_path, monkeypatch):
    for name in ("typed", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "typed")
    (tmp_path / "typed" / "videos").mkdir()
    source = shutil.copytree(material / "in" / "a", tmp_path / "in" / "a")
    out = tmp_path / "out"
    words = ["data", "convert", "videos", "--source", source.parent, "--out", out, "--workers", 1]
    assert run(*words, "--part=1/2")[0] == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, told = run(*words, "--part=2/2")
    assert code == 0, told
    code, _, told = run("merge", out)
    assert code == 0, told


def test_more_parts_than_videos_leave_some_empty(tmp_path):
    footage.write_images(tmp_path / "in" / "a", [(48, 32)] * 2)
    words = ["data", "convert", "videos", "--source", tmp_path / "in", "--workers", 1]
    assert run(*words, "--out", tmp_path / "whole")[0] == 0
    for number in (1, 2):
        assert run(*words, "--out", tmp_path / "out", f"--part={number}/2")[0] == 0
    assert run("merge", tmp_path / "out")[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@pytest.fixture
def dataset(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "dataset")
    return tmp_path / "dataset"


def test_packing_in_parts_is_packing(dataset, monkeypatch):
    words = ["data", "pack", dataset, "--frames-per-shard", 8, "--workers", 1]
    assert run(*words)[0] == 0
    once = tree(dataset)
    shutil.rmtree(dataset / "records")
    for number in (3, 1, 4):
        assert run(*words, f"--part={number}/{OF}")[0] == 0
    assert "part 2/4 was not begun" in refused("merge", dataset)
    with monkeypatch.context() as patch:
        dies_after(patch, import_from("surgvista_jax.data.storage.packing"), "_write_all")
        with pytest.raises(Killed):
            run(*words, "--part=2/4")
    assert "part 2/4 has not ended" in refused("merge", dataset)
    assert "with other options: frames-per-shard was 8 and is 9" in refused(
        *words, "--part=2/4", "--frames-per-shard=9"
    )
    assert ", 0 shards written now" not in run(*words, "--part=1/4")[1]
    code, said, _ = run(*words, "--part=2/4")
    assert code == 0 and "0 shards written now" in said
    assert "is being made in 4 parts" in refused(*words)
    for owner, name, calls in ((os, "replace", 5), (Ownership, "__call__", 2)):
        with monkeypatch.context() as patch:
            dies_after(patch, owner, name, calls)
            with pytest.raises(Killed):
                run("merge", dataset)
    assert run("merge", dataset)[0] == 0
    assert tree(dataset) == once
    assert "its frames are packed already" in refused(*words, "--part=2/4")
    assert tree(dataset) == once
    assert run("data", "pack", dataset, "--verify")[0] == 0


def test_checking_in_parts_finds_the_same(dataset, tmp_path):
    shutil.copytree(dataset / "frames" / "v3", dataset / "frames" / "v4", dirs_exist_ok=True)
    footage.cut(dataset / "frames" / "v2" / "000001.jpg")
    shutil.copy(dataset / "frames" / "v0" / "000001.jpg", dataset / "frames" / "v0" / "000004.jpg")
    page = tmp_path / "page.html"
    words = ["data", "check", dataset, "--json", "--html", page]
    once, html, before = run(*words), page.read_bytes(), tree(dataset)
    assert once[0] == 1
    assert all(text in once[1] for text in ("share", "cannot be read", "at another rate?"))
    page.unlink()
    (tmp_path / ".surgvista_written.jsonl").unlink()
    for number in (2, 1, 3):
        assert run(*words, f"--part={number}/3")[0] == 0
    assert run(*words)[:2] == once[:2]
    assert run("merge", dataset, "--of=data check")[:2] == once[:2]
    assert page.read_bytes() == html and tree(dataset) == before
    for more in ([], ["--html", tmp_path / "other.html"]):
        plain = [*words[:-2], *more]
        run(*words, "--part=1/2")
        assert f"--html was {page} and is " in refused(*plain, "--part=2/2")
    shutil.rmtree(dataset / FOLDER)
    assert "--no-frames looks at none" in refused(*words, "--no-frames", "--part=1/2")


def test_frames_that_changed_are_looked_at_again(dataset):
    frame, other = (dataset / "frames" / v / "000001.jpg" for v in ("v2", "v3"))
    whole = frame.read_bytes()
    footage.cut(frame)
    words = ["data", "check", dataset]
    for number in (1, 2):
        assert run(*words, f"--part={number}/2")[0] == 0
    frame.write_bytes(whole)
    footage.cut(other)
    kept = {path: path.stat().st_mtime_ns for path in (dataset / FOLDER).rglob("*.npz")}
    for number in (1, 2):
        assert run(*words, f"--part={number}/2")[0] == 0
    assert len([path for path in kept if path.stat().st_mtime_ns != kept[path]]) == 2
    code, said, _ = run("merge", dataset)
    assert code == 1 and (code, said) == run(*words)[:2]


def test_videos_that_were_packed_anew_are_looked_at_again(dataset):
    words, pack = ["data", "check", dataset], ["data", "pack", dataset, "--workers", 1]
    assert run(*pack)[0] == 0 and run(*words, "--part=1/2")[0] == 0
    kept = {path: path.stat().st_mtime_ns for path in (dataset / FOLDER).rglob("*.npz")}
    assert run(*words, "--part=1/2")[0] == 0
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    (shard,) = (dataset / "records").glob("*.array_record")
    os.utime(shard, (0, 0))
    assert run(*words, "--part=1/2")[0] == 0
    assert kept and all(path.stat().st_mtime_ns != kept[path] for path in kept)


def files_of(material: Path) -> list[Path]:
    return [material / "in" / name for name in ("v0.avi", "v1.avi", "v2.avi", "text.mp4")]


@pytest.mark.parametrize("kind", ["dataset", "files"])
def test_features_in_parts_are_those_of_one_run(material, whole, kind, tmp_path, monkeypatch):
    weights = write_described("surgvista", tmp_path / "weights.safetensors")
    given: list = files_of(material)
    if kind == "dataset":
        # One video of the first part is a file yet, which the header of all features says.
        given = [f"--dataset={shutil.copytree(whole, tmp_path / 'dataset')}"]
        manifest = tmp_path / "dataset" / "videos.jsonl"
        text = manifest.read_text().replace('"frames/v6"', json.dumps(f"{material / 'in/v6.avi'}"))
        manifest.write_text(text)
    words = ["features", *given, f"--init={weights}", "--batch-size=8", "--dtype=float32"]
    code, said, _ = run(*words, "--out", tmp_path / "once")
    count = 9 if kind == "dataset" else 3
    assert code == (kind == "files") and f"features of {count} videos" in said
    out = tmp_path / "out"
    run(*words, "--out", out, "--part=2/2")
    with monkeypatch.context() as patch:
        dies_after(patch, FeatureFolder, "write")
        with pytest.raises(Killed):
            run(*words, "--out", out, "--part=1/2")
    assert "part 1/2 has not ended" in refused("merge", out)
    assert "other options: pool was mean and is class" in refused(
        *words, "--out", out, "--part=1/2", "--pool=class"
    )
    other = shutil.copy(weights, tmp_path / "other.safetensors")
    assert "init was " in refused(*words, f"--init={other}", "--out", out, "--part=1/2")
    run(*words, "--out", out, "--part=1/2")
    with monkeypatch.context() as patch:
        dies_after(patch, os, "replace", 3)
        with pytest.raises(Killed):
            run("merge", out)
    code, said, _ = run("merge", out)
    assert code == (kind == "files") and f"features of {count} videos" in said
    assert tree(out) == tree(tmp_path / "once")
    assert "was begun without --part" in refused(*words, "--out", out, "--part=1/2")


@pytest.mark.parametrize("kind", ["dataset", "files"])
def test_predictions_in_parts_are_those_of_one_run(material, whole, kind, tmp_path, monkeypatch):
    weights = write_described("surgvista_finetuned", tmp_path / "weights.safetensors")
    torn = footage.set_avi_length(footage.write_video(tmp_path / "torn.avi", 20), 60)
    given = [whole] if kind == "dataset" else [*files_of(material), torn]
    words = ["predict", *given, f"--checkpoint={weights}", "--batch-size=8", "--dtype=float32"]
    words += ["--smooth=median", *(["--workers=0"] if kind == "dataset" else [])]
    failed = kind == "files"  # a text that is no video, and a torn one
    assert run(*words, "--out", tmp_path / "once")[0] == failed
    known = read_npz(tmp_path / "once" / "predictions.npz", "")
    damaged = [video for video in known.videos if known.damage_of(video)]
    assert [Path(video).name for video in damaged] == ["torn"][:failed]
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        dies_after(patch, moments_in_parts, "_write")
        with pytest.raises(Killed):
            run(*words, "--out", out, "--part=1/2")
    assert "part 1/2 has not ended, part 2/2 was not begun" in refused("merge", out)
    (kept,) = (out / FOLDER / "predict" / "1").glob("*.npz")
    stamp = kept.stat().st_mtime_ns
    for number in (1, 2):
        run(*words, "--out", out, f"--part={number}/2")
    assert kept.stat().st_mtime_ns == stamp
    assert "smooth was median and is None" in refused(
        *[word for word in words if "smooth" not in str(word)], "--out", out, "--part=1/2"
    )
    assert "is being made in 2 parts" in refused(*words, "--out", out)
    code, said, told = run("merge", out)
    assert code == failed, told
    assert tree(out) == tree(tmp_path / "once")
    assert "is there already" in refused(*words, "--out", out, "--part=1/2")


def test_parts_keep_no_frames_and_are_of_no_camera(material, tmp_path):
    weights = write_described("surgvista_finetuned", tmp_path / "weights.safetensors")
    words = ["predict", f"--checkpoint={weights}", "--out", tmp_path / "out", "--part=1/2"]
    told = run(*words, material / "in" / "a")
    assert told[0] == 1 and "let `surgvista data convert --part` extract them" in told[2]
    assert "--part: means nothing for" in run(*words[:2], "--stream=0", words[-1])[2]


def test_options_survive_until_the_merge(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "w.bin", "")
    given = {"out": Path("o"), "videos": [Path("w.bin")], "init": "vit:w.bin", "fps": 2.5}
    given["transitions"] = "w.bin"
    given |= {"html": None, "json": True, "part": "1/2", "name": "w.bin", "main": print}
    options = json.loads(json.dumps(options_of(argparse.Namespace(**given))))
    monkeypatch.chdir("/")
    found = vars(arguments_of(options))
    assert found == {
        "out": tmp_path / "o",
        "videos": [tmp_path / "w.bin"],
        "init": f"vit:{tmp_path / 'w.bin'}",
        "fps": 2.5,
        "transitions": f"{tmp_path / 'w.bin'}",
        "html": None,
        "json": True,
        "name": "w.bin",
    }
    words = words_of(argparse.Namespace(**found), ())
    assert "out" not in words and words["videos"][0].startswith(f"{tmp_path / 'w.bin'} (0 bytes")


def test_each_command_with_parts_is_merged_by_its_folder():
    assert set(merge._PARTED) == {"data convert", "data pack", "data check", "features", "predict"}
