"""What does a finetuned model say of videos, from the command line?"""

import csv
import dataclasses
import json
import os
import re
import shutil
import signal
import time
from html import escape
from types import SimpleNamespace

import av
import jax
import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.own_videos import VideoLabels, read_videos
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference import live_option, weights_option
from surgvista_jax.inference.live_record import LiveRecord
from surgvista_jax.inference.page import predicted_page
from surgvista_jax.inference.pages_due import NOTE, PagesDue, pages_due, room_for_note
from surgvista_jax.inference.predictions import write_table
from surgvista_jax.ownership import in_folder
from surgvista_jax.predictions.places import PREDICTIONS
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.predictions.transitions import transitions_of
from surgvista_jax.writing import CannotWrite, write_json, write_text
from tests.support import device_memory
from tests.support.finetune_run import COLOURS, make_config, make_dataset, meta, predictions, run
from tests.support.footage import cut, index_first, write_video
from tests.support.made_operation import data_of
from tests.support.one_device import all_on_one_device, on_all_devices  # noqa: F401

READ = ["--batch-size=16", "--workers=0"]


def predict(*words) -> int:
    """In float32; with options of reading where there is something to be read in batches."""
    words = [str(word) for word in words]
    given = {option for word in words for option in ("--stream", "--features") if option in word}
    computed = [] if "--features" in given else ["--dtype=float32"]
    return main(["predict", *words, *computed, *([] if given else READ)])


def lines(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finetuning run of colours, and its dataset."""
    folder = tmp_path_factory.mktemp("trained")
    data = make_dataset(folder / "data")
    config = make_config(folder / "config.py", data)
    config.write_text(
        config.read_text().replace('"heads": 2}, ', '"heads": 2, "attention_bias": "qv"}, ')
    )
    assert run(config, folder / "run", "budget.steps=4", "evaluation.protocol=")
    return folder / "run", data


def test_a_run_says_of_its_test_videos_what_it_said_at_its_end(trained, tmp_path):
    workdir, data = trained
    with device_memory.known():
        assert predict(data, "--split=test", f"--checkpoint={workdir}", f"--out={tmp_path}") == 0
    expected, found = predictions(workdir), predictions(tmp_path)
    for key in ("video", "frame", "score", "label"):
        np.testing.assert_array_equal(found[key], expected[key], key)
    about = meta(tmp_path)
    assert about["classes"] == list(COLOURS) and about["split"] == "test" and about["fps"] == 1.0


def test_pages_that_cannot_be_written_are_written_by_the_same_command_again(
    trained, tmp_path, capsys, monkeypatch
):
    """From the predictions that are whole; another command, or other predictions, are refused."""

    def full(owned, *given):
        raise CannotWrite(owned.folder / "index.html", "No space left on device")

    def computing(*given, **options):
        raise AssertionError("computed anew")

    def trained_anew(arguments):
        model = weights_option.loaded(arguments)
        more = jax.tree.map(lambda leaf: leaf + 1, model.params["head"])
        return dataclasses.replace(model, params={**model.params, "head": more})

    monkeypatch.chdir(tmp_path)
    words = (trained[1], "--split=test", f"--checkpoint={trained[0]}", "--out=said/so")
    tmp_path /= "said/so"
    with monkeypatch.context() as patched:
        patched.setattr("surgvista_jax.inference.predictions.write_pages", full)
        assert predict(*words) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device); the predictions are whole: the same command again" in said
    found = (tmp_path / "predictions.npz").read_bytes()
    left = tmp_path / ".partial-abcd1234" / ".surgvista_partial"  # by a killed start
    left.parent.mkdir()
    left.touch()
    monkeypatch.setattr("surgvista_jax.commands.predict.asked_moments", computing)
    assert predict(*words, "--smooth=median") == 1
    assert "predictions.npz: is there already; take another --out" in capsys.readouterr().err
    shutil.copy(trained[0] / "predictions.npz", tmp_path)
    assert predict(*words) == 1
    assert "predictions.npz: is there already; take another --out" in capsys.readouterr().err
    (tmp_path / "predictions.npz").write_bytes(found)
    with monkeypatch.context() as patched:
        patched.setattr("surgvista_jax.commands.predict.loaded", trained_anew)
        assert predict(*words) == 1
        assert "is there already, by other weights than" in capsys.readouterr().err
    monkeypatch.chdir(trained[0].parent)  # wherever it is started, it is the same
    assert predict("data", "--split=test", "--checkpoint=run", f"--out={tmp_path}") == 0
    assert "its pages are written" in capsys.readouterr().err
    assert not left.parent.exists()
    assert (tmp_path / "predictions.npz").read_bytes() == found
    assert {path.name for path in tmp_path.glob("*.html")} == {
        "video7.html",
        "video8.html",
        "index.html",
    }
    assert data_of((tmp_path / "video7.html").read_text())["film"]["images"]
    monkeypatch.chdir(tmp_path.parent.parent)
    assert predict(*words) == 1  # nothing is due any more
    assert "predictions.npz: is there already; take another --out" in capsys.readouterr().err


def test_predictions_stay_where_no_room_is_left_for_the_note_that_pages_are_due(
    tmp_path, monkeypatch
):
    def full(path, *given):
        raise CannotWrite(path, "No space left on device")

    owned, words = in_folder(tmp_path, False), {"out": "x"}
    due = PagesDue(owned, words, "", 0, [])
    monkeypatch.setattr("surgvista_jax.inference.pages_due.write_text", full)
    write_json(tmp_path / PREDICTIONS, {}, due)
    assert (tmp_path / PREDICTIONS).exists()
    said = due.left(CannotWrite(tmp_path, "No space left on device"))
    assert said == f"the predictions are whole: `surgvista view {tmp_path}` shows them"


def test_room_for_the_note_is_kept_while_predictions_are_computed(tmp_path, monkeypatch):
    """A disk that fills up meanwhile has it still; a start that fails leaves nothing behind."""
    owned, words = in_folder(tmp_path, False), {"out": "x"}
    videos = [Video(f"v{k}", f"{k}.mp4", 1.0, 9) for k in range(3)]
    due = PagesDue(owned, words, "", 0, [(tmp_path / "frames", video) for video in videos])

    def full(path, text, guard):
        used = sum(each.stat().st_size for each in tmp_path.iterdir() if each.name == NOTE)
        if path.name == NOTE and used:
            raise CannotWrite(path, "No space left on device")
        assert len(text) <= room
        write_text(path, text, guard)

    with room_for_note(owned, words, videos):
        room = (tmp_path / NOTE).stat().st_size
        assert pages_due(owned, words, tmp_path / PREDICTIONS) is None
        monkeypatch.setattr("surgvista_jax.inference.pages_due.write_text", full)
        write_json(tmp_path / PREDICTIONS, {}, due)
    found = pages_due(owned, words, tmp_path / PREDICTIONS)
    assert found is not None and [video.video for _, video in found.places] == ["v0", "v1", "v2"]
    found.done()
    monkeypatch.undo()
    with pytest.raises(UserError), room_for_note(owned, words, videos):
        assert (tmp_path / NOTE).exists()
        raise UserError("no frame can be read")
    assert not (tmp_path / NOTE).exists()


def test_who_replaced_predictions_is_told_not_to_replace_them_again(tmp_path):
    due = PagesDue(in_folder(tmp_path, True), {"out": "x"}, "", 0, [])
    write_json(tmp_path / PREDICTIONS, {}, due)
    full = due.left(CannotWrite(tmp_path, "No space left on device"))
    assert "the same command again without --overwrite writes the pages" in full
    assert "again" not in due.left(UserError("another's page lies there"))


def test_the_page_of_a_run_holds_what_predict_says(trained, tmp_path):
    workdir, data = trained
    words = ("--split=test", "--smooth=viterbi", f"--out={tmp_path / 'a'}")
    assert predict(data, f"--checkpoint={workdir}", *words) == 0
    page, right = predicted_page(workdir, data, "test", tmp_path / "b", lambda video: ())
    assert page.suffix == ".html" and page.parent == tmp_path / "b"
    ours, theirs = predictions(tmp_path / "b"), predictions(tmp_path / "a")
    np.testing.assert_array_equal(ours["frame"], theirs["frame"])
    np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-5)
    assert right == np.mean(theirs["score"].argmax(-1) == theirs["label"])


def test_smoothing_is_done_as_said_and_told(trained, tmp_path, capsys):
    """By transitions that the run counted, or a dataset folder's; tables and scores alike."""
    workdir, data = trained
    words = (data, "--split=test", f"--checkpoint={workdir}")
    kinds = {"none": [], "path": ["--smooth=viterbi"]}
    kinds["folder"] = ["--smooth=viterbi", "--causal", f"--transitions={data}"]
    found = {}
    for name, options in kinds.items():
        out = tmp_path / name
        assert predict(*words, *options, f"--out={out}") == 0
        found[name] = predictions(out)
        row = lines(out / "video7.csv")[3]
        assert row["label"] == list(COLOURS)[found[name]["score"][3].argmax()]
    told = {
        name: (meta(tmp_path / name)["smoothing"], meta(tmp_path / name)["causal"])
        for name in kinds
    }
    by_run = {"kind": "viterbi", "causal": False, "transitions": "colours, as trained on"}
    by_folder = {"kind": "viterbi", "causal": True, "transitions": "colours, train"}
    assert told == {
        "none": (None, True),
        "path": (by_run, False),
        "folder": (by_folder, True),
    }
    counted = transitions_of(read_dataset(data).split("train"))
    expected = Smoothing("viterbi", transitions=counted)
    for video in ("video7", "video8"):
        own = found["none"]["video"] == video
        values = expected.of_video(found["none"]["frame"][own], found["none"]["score"][own])
        np.testing.assert_array_equal(found["path"]["score"][own], values)
    for options, said in (
        (["--causal"], "--causal: is of --smooth"),
        (["--window=3"], "--window: is of --smooth=median"),
        (["--smooth=median", "--window=nan"], "--window nan: should be seconds above 0"),
        (["--smooth=median", f"--transitions={data}"], "--transitions: is of --smooth=viterbi"),
    ):
        assert predict(*words, *options, f"--out={tmp_path / 'no'}") == 1
        assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def temporal(trained, tmp_path_factory):
    """Features of the run's backbone, and a causal MS-TCN that was trained on them."""
    workdir, data = trained
    folder = tmp_path_factory.mktemp("temporal")
    words = ("features", f"--init={workdir}", f"--dataset={data}", f"--out={folder / 'features'}")
    assert main([*words, "--batch-size=16", "--workers=0", "--dtype=float32"]) == 0
    settings = {"data.folder": data, "data.features": folder / "features", "epochs": 1}
    settings |= {"model.layers": 3, "model.feature_maps": 8, "pad_to": 16, "progress": "none"}
    settings |= {"evaluation.protocol": "phase-strict", "learning_rate": 0.01}
    config = [f"--config.{key}={value}" for key, value in settings.items()]
    words = ("finetune", "--config=configs/finetune/mstcn.py", f"--workdir={folder / 'run'}")
    assert main([*words, *config]) == 0
    return folder


def test_a_temporal_run_says_what_it_said_at_its_end(trained, temporal, tmp_path):
    """Of its features; and of those that are computed on the way, by a backbone that it knows."""
    data, expected = trained[1], predictions(temporal / "run")
    words = (data, "--split=test", f"--checkpoint={temporal / 'run'}")
    assert predict(*words, f"--features={temporal / 'features'}", f"--out={tmp_path / 'a'}") == 0
    assert predict(*words, f"--out={tmp_path / 'b'}") == 0
    for name in "ab":
        found = predictions(tmp_path / name)
        for key in ("video", "frame", "score", "label"):
            np.testing.assert_array_equal(found[key], expected[key], key)
    about = meta(tmp_path / "a")
    assert about["causal"] and about["classes"] == list(COLOURS) and about["split"] == "test"
    assert not {"backbone", "transitions"} & meta(temporal / "run").keys()


def test_live_predictions_are_lines_of_standard_output(temporal, trained, tmp_path, capfd):
    """Of frames on standard input; by an MS-TCN, smoothed."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    (tmp_path / "frames").write_bytes(frames.tobytes() + b"half a frame")
    kept = os.dup(0)
    try:
        with open(tmp_path / "frames", "rb") as file:
            os.dup2(file.fileno(), 0)
        words = ("--stream=-", "--frame-size=64x48", "--frame-rate=1", "--smooth=median")
        out = f"--out={tmp_path / 'said'}"
        assert predict(f"--checkpoint={temporal / 'run'}", *words, out) == 1
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    said = capfd.readouterr()
    told = [json.loads(line) for line in said.out.splitlines()]
    assert told[-1]["time"] == 2.0 and told[-1]["label"] in COLOURS
    assert all(set(line) == {"time", "label", "probability", "latency_ms"} for line in told)
    rows = lines(tmp_path / "said" / "standard_input.csv")
    assert [row["label"] for row in rows] == [line["label"] for line in told]
    # A busy machine drops those before the newest, perhaps the first ones too.
    seconds = [line["time"] for line in told]
    assert [float(row["second"]) for row in rows] == seconds
    assert meta(tmp_path / "said")["smoothing"]["causal"] and meta(tmp_path / "said")["causal"]
    page = data_of((tmp_path / "said" / "standard_input.html").read_text())
    assert page["film"]["seconds"] == seconds
    assert "standard_input.html: open it in a browser" in said.err
    last = next(line for line in said.err.splitlines() if line.startswith("surgvista: "))
    assert "standard input: ends within frame 3, at 12 of its 9216 bytes; 3 frames seen" in last
    assert f"{counted(len(told), 'prediction')}; ms from frame to label: p50 " in last
    for given, refused in (
        ((), "say what to look at: VIDEO …, or --stream=SOURCE"),
        (("--stream=-",), "--frame-size=WxH and --frame-rate=R: are needed for --stream=-"),
        (("--stream=-", "--frame-size=64x48"), "are needed both"),
        (("--stream=-", "--frame-size=64", "--frame-rate=1"), "should be WIDTHxHEIGHT"),
        (("--stream=0", "--overwrite"), "--overwrite: is of --out"),
        ((*words, out), "predictions.npz: is there already; take another --out"),
        (("--stream=0", "--batch-size=1"), "--batch-size: means nothing for a camera; leave it"),
        ((trained[1], "--stream=-", f"--out={tmp_path / 'no'}"), "leave VIDEO out"),
        ((trained[1],), "--out=FOLDER: is needed"),
    ):
        assert predict(*given, f"--checkpoint={trained[0]}") == 1
        assert refused in capfd.readouterr().err


def test_a_file_in_real_time_leaves_what_predict_writes_of_it(trained, tmp_path, capsys):
    """But for the frames of the page's film, which are those that were seen."""
    video = write_video(tmp_path / "a case.mp4", num_frames=60)
    checkpoint, found = f"--checkpoint={trained[0]}", []
    for name, given in (("live", f"--stream={video}"), ("whole", video)):
        out = tmp_path / name
        assert predict(given, checkpoint, f"--out={out}") == 0
        said, page = predictions(out), data_of((out / "a case.html").read_text())
        assert len(page.pop("film")["seconds"]) > 1
        texts = [(out / file).read_text() for file in ("a case.csv", "videos.json")]
        found.append((said["score"].tobytes(), said["frame"].tolist(), meta(out), texts, page))
    assert found[0] == found[1] and len(found[0][1]) == 3
    assert "predictions.npz: 3 clips of 1 video\n" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["Ctrl-C", "gone", "failed", "by a fault", "no reader"])
def test_a_stream_leaves_its_page_however_it_ends(trained, tmp_path, monkeypatch, ending):
    """By Ctrl-C (also a second one), a camera that goes away or fails, a fault of ours, and by
    nobody who reads, standard error neither."""
    write = LiveRecord.write_said

    def written_under_signals(record, broke):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        return write(record, broke)

    if ending == "Ctrl-C":
        monkeypatch.setattr(LiveRecord, "write_said", written_under_signals)
    broke = "gives no more pictures" if ending == "gone" else ""
    source, said, told = SimpleNamespace(broke=broke, size=(64, 48)), [], []

    def frames():
        for second in range(3):
            yield 5.25 + second, np.full((48, 64, 3), 80 * second, np.uint8)
            while len(said) <= second:
                time.sleep(0.01)
        if ending == "Ctrl-C":
            os.kill(os.getpid(), signal.SIGINT)
        if ending == "failed":
            raise UserError("the camera fails")
        if ending == "by a fault":
            raise ZeroDivisionError("by zero")

    def say(line, flush=True, file=None):
        if file is not None:
            told.append(line)
        else:
            said.append(line)
        if ending == "no reader" and len(said) == 3:
            raise BrokenPipeError

    source.frames = frames
    monkeypatch.setattr(live_option, "open_source", lambda *given: source)
    monkeypatch.setattr(live_option, "print", say, raising=False)
    words = ("--stream=0", f"--checkpoint={trained[0]}", f"--out={tmp_path / 'out'}")
    if ending == "by a fault":  # whose traceback is wanted, after all is written
        with pytest.raises(ZeroDivisionError):
            predict(*words)
    else:
        status = {"Ctrl-C": 130, "gone": 1, "failed": 1}.get(ending)
        assert predict(*words) == status or status is None
    count = 2 if ending == "no reader" else 3
    page = data_of((tmp_path / "out" / "camera.html").read_text())
    assert page["film"]["seconds"] == [5.25 + second for second in range(count)]
    # Frames before those were dropped, as it were: all tell the stream's time.
    times = [json.loads(line)["time"] for line in said][:count]
    assert times == [5.0, 6.0, 7.0][:count] and page["first"] / page["fps"] == 5
    damage = {
        "gone": "gives no more pictures",
        "failed": "the camera fails",
        "by a fault": "it ended by an error that nobody foresaw: ZeroDivisionError: by zero",
        "no reader": "the program that read the predictions ended",
    }.get(ending)
    assert page["damage"] == [damage] * bool(damage)
    # Also in the file that `view` makes pages of, and in the line at the end.
    assert meta(tmp_path / "out").get("damage", {}).get("camera", []) == page["damage"]
    if damage:
        assert any(line.startswith(f"surgvista: 0: {damage}; 3 frames seen") for line in told)
    table = lines(tmp_path / "out" / "camera.csv")
    assert [float(row["second"]) for row in table] == times


def test_a_temporal_run_predicts_videos_and_is_smoothed(temporal, tmp_path):
    video = write_video(tmp_path / "case.mp4", num_frames=100)
    words = (video, f"--checkpoint={temporal / 'run'}", "--smooth=viterbi")
    assert predict(*words, f"--out={tmp_path / 'out'}") == 0
    assert [row["frame"] for row in lines(tmp_path / "out" / "case.csv")] == ["0", "1", "2", "3"]
    about = meta(tmp_path / "out")
    assert about["smoothing"]["transitions"] == "colours, as trained on" and not about["causal"]


def test_features_of_another_backbone_are_refused_by_name(trained, temporal, tmp_path, capsys):
    workdir, data = trained
    words = (data, f"--checkpoint={temporal / 'run'}", f"--out={tmp_path / 'out'}")
    shutil.copytree(temporal / "features", tmp_path / "features")
    header = tmp_path / "features" / "features.json"
    values = json.loads(header.read_text())
    del values["crc32"]
    assert values["source"] == str(workdir)
    for key, value in (("weights", "f" * 64), ("clip_stride", 7), ("model", "vit, other")):
        header.write_text(json.dumps(values | {key: value}))
        assert predict(*words, f"--features={tmp_path / 'features'}") == 1
        said = capsys.readouterr().err
        assert f"{header}: other features than" in said and f"{key} was" in said
    # Another dataset's features may be of the same backbone.
    header.write_text(json.dumps(values | {"fps": 25}))
    assert predict(*words, f"--features={tmp_path / 'features'}") == 1
    assert "fps was 1.0, is 25.0" in capsys.readouterr().err
    other = tmp_path / "other.npz"
    main(["weights", "export", str(workdir), "--as", "surgvista_finetuned", "--out", str(other)])
    with np.load(other) as file:
        arrays = {name: file[name] for name in file.files}
    name = next(name for name in arrays if name.endswith("proj.weight"))
    np.savez(other, **(arrays | {name: arrays[name] + 1}))
    capsys.readouterr()
    for options, said in (
        ([f"--backbone={other}"], "other weights (SHA-256"),
        ([f"--backbone={tmp_path / 'no'}"], "no: there is no"),
        (["--backbone=a", f"--features={temporal / 'features'}"], "leave one out"),
        (["--fps=2"], "its own fps is 1.0, which cannot be replaced"),
    ):
        assert predict(*words, *options) == 1
        assert said in capsys.readouterr().err
    words = (data, f"--checkpoint={workdir}", f"--out={tmp_path / 'out'}")
    assert predict(*words, f"--features={temporal / 'features'}") == 1
    assert "--features: is of an MS-TCN" in capsys.readouterr().err
    assert not (tmp_path / "out" / "predictions.npz").exists()


def test_every_kind_of_head_is_the_one_that_was_trained(tmp_path, capsys):
    data = make_dataset(tmp_path / "data", "multi")
    config = make_config(tmp_path / "config.py", data)
    words = ["mode=attentive", "budget.steps=2", "mix.mixup=0.0", "mix.cutmix=0.0"]
    words += ["evaluation.score=mean_ap", "evaluation.protocol="]
    assert run(config, tmp_path / "run", *words)
    out = tmp_path / "out"
    assert predict(data, "--split=test", f"--checkpoint={tmp_path / 'run'}", f"--out={out}") == 0
    np.testing.assert_array_equal(predictions(out)["score"], predictions(tmp_path / "run")["score"])
    np.testing.assert_array_equal(predictions(out)["label"], predictions(tmp_path / "run")["label"])
    row = lines(out / "video8.csv")[0]
    held = [name for name in (*COLOURS, "even") if float(row[name]) > 0.5]
    assert row["label"] == ";".join(held)
    words = (data, f"--checkpoint={tmp_path / 'run'}", f"--out={tmp_path / 'no'}")
    assert predict(*words, "--smooth=viterbi") == 1
    assert "the model's classes may hold together" in capsys.readouterr().err


def test_an_exported_file_says_the_same(trained, tmp_path):
    workdir, data = trained
    shutil.copytree(data, tmp_path / "data")
    for video in (lists := (tmp_path / "data" / "videos.jsonl")).read_text().splitlines():
        values = json.loads(video)
        assert values.pop("labels")
        with open(tmp_path / "bare.jsonl", "a") as file:
            file.write(json.dumps(values) + "\n")
    (tmp_path / "bare.jsonl").replace(lists)
    about = json.loads((tmp_path / "data" / "dataset.json").read_text())
    about |= {"task": "none", "classes": []}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(about))
    file, folder = tmp_path / "model.safetensors", tmp_path / "imported"
    main(["weights", "export", str(workdir), "--as", "surgvista_finetuned", "--out", str(file)])
    main(["weights", "import", str(file), "--out", str(folder)])
    found = {}
    for checkpoint in (workdir, file, folder):
        out = tmp_path / f"of_{checkpoint.name}"
        assert predict(tmp_path / "data", f"--checkpoint={checkpoint}", f"--out={out}") == 0
        found[checkpoint] = predictions(out)
        assert "label" not in found[checkpoint] and meta(out)["classes"] == list(COLOURS)
        assert len(found[checkpoint]["frame"]) == 90  # every frame of every video
    for checkpoint in (file, folder):
        np.testing.assert_array_equal(found[checkpoint]["score"], found[workdir]["score"])


def test_videos_are_looked_at_at_the_rate_of_training(trained, tmp_path, capsys):
    """One that breaks off is named, and what can be read of the others is there all the same."""
    whole = write_video(tmp_path / "videos" / "whole.mp4", num_frames=100)
    cut(write_video(tmp_path / "videos" / "deep" / "torn.mp4"))
    out = tmp_path / "out"
    words = [f"--checkpoint={trained[0]}", f"--out={out}"]
    assert predict(tmp_path / "videos", *words) == 1
    assert "torn.mp4" in capsys.readouterr().err
    found = lines(out / "whole.csv")
    assert [row["frame"] for row in found] == ["0", "1", "2", "3"]
    assert [row["second"] for row in found] == ["0.000", "1.000", "2.000", "3.000"]
    scores = np.array([[float(row[name]) for name in COLOURS] for row in found])
    np.testing.assert_allclose(scores.sum(1), 1, atol=2e-4)
    assert [row["label"] for row in found] == [list(COLOURS)[k] for k in scores.argmax(1)]

    alone = tmp_path / "alone"
    assert predict(whole, f"--checkpoint={trained[0]}", f"--out={alone}") == 0
    assert lines(alone / "whole.csv") == found
    # A page of one video, and of several their list, with frames of them.
    shown = data_of((alone / "whole.html").read_text())
    assert shown["classes"] == list(COLOURS) and len(shown["film"]["images"]) >= 4
    assert not (alone / "index.html").exists()
    assert (out / "whole.html").exists()
    # Tables that may have been mended are not written over.
    capsys.readouterr()
    assert predict(whole, f"--checkpoint={trained[0]}", f"--out={alone}") == 1
    assert "predictions.npz: is there already; take another --out" in capsys.readouterr().err
    # What a user has mended by hand is read as labels.
    (whole.parent / "deep" / "torn.mp4").unlink()
    labels = VideoLabels(alone, classes=tuple(COLOURS))
    (recording,) = read_videos(whole.parent, alone, {}, labels).recordings
    told = recording.read_labels().at(np.arange(4.0))
    assert list(told) == list(scores.argmax(1))


def test_weights_without_names_take_those_that_are_given(trained, tmp_path, capsys):
    workdir, data = trained
    file, bare, out = (tmp_path / name for name in ("model.npz", "bare.npz", "out"))
    main(["weights", "export", str(workdir), "--as", "surgvista_finetuned", "--out", str(file)])
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    told = json.loads(str(arrays["__metadata__"]))
    assert told.pop("about") and told.pop("heads")
    np.savez(bare, **(arrays | {"__metadata__": np.array(json.dumps(told))}))
    words = (data / "frames" / "video8", f"--checkpoint={bare}", f"--out={out}")
    assert predict(*words) == 1
    assert "attention heads of its encoder" in capsys.readouterr().err
    words += ("--heads=2",)
    assert predict(*words, "--classes=a,b") == 1
    assert "has 3 classes, named are 2" in capsys.readouterr().err
    assert predict(*words, "--classes=a,b,c", "--fps=0.5", "--label-kind=multi") == 0
    about = meta(out)
    assert about["classes"] == ["a", "b", "c"] and about["fps"] == 0.5
    # A folder of frames is taken to be at that rate.
    seconds = [float(row["second"]) for row in lines(out / "video8.csv")]
    assert seconds == [2 * k for k in range(10)]
    words = (words[0], words[1], f"--out={tmp_path / 'third'}", words[3])
    assert predict(*words, "--classes=a,b,c", "--stride=1", "--num-frames=3") == 1
    assert "3x224x224 video does not divide into 2x16x16" in capsys.readouterr().err
    words = (words[0], words[1], f"--out={tmp_path / 'fourth'}", words[3])
    assert predict(*words, "--classes=a,b,c", "--stride=1", "--num-frames=4", "--size=32") == 0
    assert "clips of 4 frames of 32 pixels, 1 apart, at 1 fps" in capsys.readouterr().err


@on_all_devices()
def test_mistakes_are_one_line(trained, tmp_path, capsys):
    workdir, data = trained
    out = f"--out={tmp_path / 'out'}"
    text = tmp_path / "notes.txt"
    text.write_text("no video")
    checkpoint = f"--checkpoint={workdir}"
    for words, said in (
        ((tmp_path / "nowhere.mp4", checkpoint), "no such file or folder"),
        ((text, checkpoint), "is not a video; no moving pictures are in it"),
        ((tmp_path, checkpoint), "no video and no folder of images"),
        ((data, checkpoint, "--fps=2"), "its own fps is 1.0, which cannot be replaced"),
        ((data, checkpoint, "--split=none"), "no split 'none'"),
        ((data, checkpoint, "--batch-size=12"), "--batch-size"),
        ((data, f"--checkpoint={text}"), "notes.txt"),
        ((text, checkpoint, "--workers=-1"), "--workers=-1: should be a whole number"),
        ((text, checkpoint, "--max-unreadable-share=nan"), "share nan: should be from 0 to 1"),
    ):
        assert main(["predict", "--workers=0", *map(str, words), out]) == 1
        error = capsys.readouterr().err.strip()
        (told,) = (line for line in error.splitlines() if line.startswith("surgvista: "))
        assert said in told and "Traceback" not in error, error
    assert not (tmp_path / "out" / "predictions.npz").exists()


def test_a_dataset_at_another_rate_is_refused(trained, tmp_path, capsys):
    shutil.copytree(trained[1], tmp_path / "data")
    videos = tmp_path / "data" / "videos.jsonl"
    videos.write_text(videos.read_text().replace('"fps": 1.0', '"fps": 5.0'))
    assert read_dataset(tmp_path / "data").videos[0].fps == 5.0
    assert predict(tmp_path / "data", f"--checkpoint={trained[0]}", f"--out={tmp_path}/o") == 1
    assert "has 5 frames a second, where the model was trained on 1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def fast(trained, tmp_path_factory):
    """The same model, as if it had been trained on five frames a second."""
    folder = tmp_path_factory.mktemp("fast")
    file = folder / "model.npz"
    main(["weights", "export", str(trained[0]), "--as", "surgvista_finetuned", "--out", str(file)])
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    told = json.loads(str(arrays["__metadata__"]))
    told["about"] = json.dumps(json.loads(told["about"]) | {"fps": 5.0})
    np.savez(file, **(arrays | {"__metadata__": np.array(json.dumps(told))}))
    return file


def test_tables_are_read_back_as_labels_at_any_rate(fast, tmp_path):
    video = write_video(tmp_path / "videos" / "case.mp4", num_frames=100)
    assert predict(video, f"--checkpoint={fast}", f"--out={tmp_path / 'out'}") == 0
    rows = lines(tmp_path / "out" / "case.csv")
    assert len(rows) == 20 and rows[-1]["second"] == "3.800"
    labels = VideoLabels(tmp_path / "out", classes=tuple(COLOURS))
    (recording,) = read_videos(video.parent, tmp_path / "out", {}, labels).recordings
    told = recording.read_labels().at(np.arange(20) / 5)
    assert [list(COLOURS)[k] for k in told] == [row["label"] for row in rows]


def test_a_video_slower_than_those_of_training_is_left_out(fast, tmp_path, capsys):
    slow = write_video(tmp_path / "slow.mp4", num_frames=10, fps=2)
    usual = write_video(tmp_path / "usual.mp4", num_frames=50)
    out = tmp_path / "out"
    assert predict(slow, usual, f"--checkpoint={fast}", f"--out={out}") == 1
    said = capsys.readouterr().err
    assert "slow: left out: has 2 frames a second, where the model was trained on 5" in said
    assert set(predictions(out)["video"]) == {"usual"} and not (out / "slow.csv").exists()
    # A later call is of its own videos alone.
    (out / "predictions.npz").unlink()
    other = write_video(tmp_path / "other.mp4", num_frames=25)
    assert predict(other, f"--checkpoint={fast}", f"--out={out}") == 0
    assert set(predictions(out)["video"]) == {"other"}


def test_nothing_is_written_outside_the_folder(fast, tmp_path, monkeypatch):
    write_video(tmp_path / "videos" / "a.mp4", num_frames=10)
    write_video(tmp_path / "here" / "b.mp4", num_frames=10)
    monkeypatch.chdir(tmp_path / "here")
    assert predict("../videos/a.mp4", "b.mp4", f"--checkpoint={fast}", "--out=out") == 0
    assert (tmp_path / "here" / "out" / "videos" / "a.csv").is_file()
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["a.mp4"]


def test_tables_of_somebody_else_are_named_before_anything_is_computed(fast, tmp_path, capsys):
    videos = [write_video(tmp_path / f"{name}.mp4", num_frames=5) for name in ("a", "b")]
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "truth.csv").write_text("second,label\n0,red\n")
    (out / "b.csv").symlink_to(tmp_path / "truth.csv")
    words = [*videos, f"--checkpoint={fast}", f"--out={out}"]
    assert predict(*words) == 1
    said = capsys.readouterr().err
    assert f"{out / 'b.csv'}: is there already" in said and "--overwrite" in said
    assert [path.name for path in out.iterdir()] == ["b.csv"]
    assert (tmp_path / "truth.csv").read_text() == "second,label\n0,red\n"
    (out / "b.csv").unlink()
    (out / "b.csv").write_text("second,label\n0,red\n")
    assert predict(*words, "--overwrite") == 0
    assert [row["frame"] for row in lines(out / "b.csv")] == ["0"]

    # What was written is replaced once predictions.npz is gone, unless it was mended.
    (out / "predictions.npz").unlink()
    assert predict(*words) == 0
    (out / "predictions.npz").unlink()
    mended = (out / "a.csv").read_bytes() + b"2,0.400,red\n"
    (out / "a.csv").write_bytes(mended)
    capsys.readouterr()
    assert predict(*words) == 1
    assert f"{out / 'a.csv'}: is there already" in capsys.readouterr().err
    assert (out / "a.csv").read_bytes() == mended and not (out / "predictions.npz").exists()


class Killed(BaseException):
    """Stands for a signal."""


def test_videos_are_finished_one_by_one_and_a_torn_one_as_far_as_it_goes(
    fast, tmp_path, capsys, monkeypatch
):
    """A kill keeps the tables before it; no frame is kept unless that is said."""
    whole = write_video(tmp_path / "a.mp4", num_frames=25)
    torn = cut(index_first(write_video(tmp_path / "b.mp4", num_frames=100)), 0.6)
    out = tmp_path / "out"
    words = [whole, torn, f"--checkpoint={fast}", f"--out={out}"]

    def write(owned, meaning, moments):
        if moments.video.video == "b":
            raise Killed
        write_table(owned, meaning, moments)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("surgvista_jax.inference.predictions.write_table", write)
        predict(*words)
    first = (out / "a.csv").read_bytes()
    assert not (out / "b.csv").exists() and not (out / "predictions.npz").exists()
    capsys.readouterr()
    assert predict(*words) == 1
    (told,) = (line for line in capsys.readouterr().err.splitlines() if "b.mp4" in line)
    assert told.startswith(f"{torn}: its header promises 100 frames, ")
    assert (out / "a.csv").read_bytes() == first and not (out / "frames").exists()
    frames = [int(row["frame"]) for row in lines(out / "b.csv")]
    assert frames == list(range(len(frames))) and 5 < len(frames) < 20

    # Its page, and that of all, say what is missing; so they do wherever they are made anew.
    said = told.removeprefix(f"{torn}: ")
    assert main(["view", str(out), f"--out={tmp_path / 'anew'}"]) == 0
    for place in (out, tmp_path / "anew"):
        shown = {name: data_of((place / f"{name}.html").read_text())["damage"] for name in "ab"}
        assert shown == {"a": [], "b": [said]}, place
        index = (place / "index.html").read_text()
        assert index.count("Not all of the video could be read") == index.count(escape(said)) == 1

    kept = tmp_path / "kept"
    assert predict(*words[:-1], f"--out={kept}", "--keep-frames") == 1
    assert meta(kept)["damage"] == {"b": [said]} == meta(out)["damage"]
    assert len(list((kept / "frames" / "frames" / "b").iterdir())) == len(frames)
    for key in ("video", "frame"):
        np.testing.assert_array_equal(predictions(out)[key], predictions(kept)[key])
    np.testing.assert_allclose(predictions(out)["score"], predictions(kept)["score"], atol=0.02)
    # So do predictions of the dataset that was made of it, whoever makes them.
    again = tmp_path / "again"
    assert predict(kept / "frames", f"--checkpoint={fast}", f"--out={again}") == 0
    assert meta(again)["damage"] == {"b": [said]}
    assert data_of((again / "b.html").read_text())["damage"] == [said]


def test_a_page_says_of_how_many_moments_frames_were_replaced(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "data")
    (tmp_path / "data" / "frames" / "video8" / "000004.jpg").write_bytes(b"none")
    words = (tmp_path / "data", "--split=test", "--max-unreadable-share=0.5")
    assert predict(*words, f"--checkpoint={trained[0]}", f"--out={tmp_path / 'out'}") == 0
    told = meta(tmp_path / "out")["damage"]
    assert list(told) == ["video8"]
    said = "moments frames could not be read and were replaced"
    assert re.fullmatch(rf"of [1-9] of its \d+ {said}", *told["video8"])


def test_an_id_that_no_table_can_have_is_named_before_anything_is_computed(
    trained, tmp_path, capsys, monkeypatch
):
    shutil.copytree(trained[1], tmp_path / "data")
    for name in ("videos.jsonl", "dataset.json"):
        path = tmp_path / "data" / name
        path.write_text(path.read_text().replace('"video0"', f'"{"x" * 252}"'))
    monkeypatch.setattr("surgvista_jax.inference.asked_moments.of_dataset", None)
    words = (tmp_path / "data", f"--checkpoint={trained[0]}", f"--out={tmp_path / 'out'}")
    assert predict(*words) == 1
    assert "is too long for a file name" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_splits_that_a_run_made_are_those_that_predict_takes(tmp_path, capsys):
    """Of a dataset without splits; evaluate scores what both wrote alike."""
    data = make_dataset(tmp_path / "data")
    head = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps(head | {"splits": {}}))
    before = (data / "dataset.json").read_bytes()
    config, workdir, out = tmp_path / "config.py", tmp_path / "run", tmp_path / "out"
    assert run(make_config(config, data), workdir, "budget.steps=2", "evaluation.protocol=")
    said = capsys.readouterr().err
    assert "has no split; made by patient, with seed 0: train 5 videos, test 2 videos (20%" in said
    assert "WARNING" not in said and (data / "dataset.json").read_bytes() == before
    rows = lines(workdir / "splits.csv")
    tested = {row["video"] for row in rows if row["split"] == "test"}
    assert len(rows) == 9 and set(predictions(workdir)["video"]) == tested
    assert set(meta(workdir)["made_splits"]["test"]) == tested
    assert predict(data, "--split=test", f"--checkpoint={workdir}", f"--out={out}") == 0
    for key in ("video", "frame", "score", "label"):
        np.testing.assert_array_equal(predictions(out)[key], predictions(workdir)[key], key)
    other = tmp_path / "other"
    assert predict(data, "--split=mine", f"--checkpoint={workdir}", f"--out={other}") == 1
    assert "no split 'mine'" in capsys.readouterr().err


def test_an_annotated_copy_is_written_whole_and_only_over_our_own(trained, tmp_path, capsys):
    workdir, _ = trained
    video = write_video(tmp_path / "videos" / "a=b.mp4", num_frames=50)
    words = (video, f"--checkpoint={workdir}", f"--out={tmp_path / 'out'}", "--video")
    copy = tmp_path / "out" / "a=b.annotated.mp4"
    copy.parent.mkdir()
    copy.write_text("mine")
    assert predict(*words) == 1
    assert "a=b.annotated.mp4: is there already" in capsys.readouterr().err
    assert not (tmp_path / "out" / "predictions.npz").exists() and copy.read_text() == "mine"
    copy.unlink()
    assert predict(*words) == 0
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.frames == 50
