"""Does the command evaluate files, write its reports, and answer mistakes in one line?"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.facts.instruments import CHOLEC80 as CHOLEC80_TOOLS
from surgvista_jax.facts.phases import CHOLEC80
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.ownership import RECORD
from surgvista_jax.predictions.npz import write_npz
from tests.support.checked_folder import make
from tests.support.places import GOLDEN


@pytest.fixture
def golden(tmp_path: Path) -> tuple[Path, Path, dict]:
    """The golden videos as a folder of predictions and one of ground truth, official layout."""
    content = json.loads((GOLDEN / "phase_relaxed_cholec80.json").read_text())
    folders = tmp_path / "pred", tmp_path / "truth"
    for folder, key, rate in zip(folders, ("prediction", "ground_truth"), (1, 25), strict=True):
        folder.mkdir()
        for number, video in enumerate(content["videos"], start=41):
            labels = np.repeat(video[key], rate)
            lines = "".join(f"{k}\t{CHOLEC80[p]}\n" for k, p in enumerate(labels))
            (folder / f"video{number}-phase.txt").write_text("Frame\tPhase\n" + lines)
    return *folders, content


def test_official_layout_reproduces_the_golden_summary(golden, tmp_path, capsys) -> None:
    predictions, truth, content = golden
    arguments = [str(predictions), f"--truth={truth}", "--fps=1", "--truth-fps=25"]
    arguments += ["--protocol=cholec80-relaxed-official", f"--out={tmp_path / 'out'}"]
    assert main(["evaluate", *arguments, "--samples=50", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    scores = {entry["key"]: entry for entry in report["scores"]}
    for name in ("jaccard", "precision", "recall"):
        expected = content["summary"][name]
        assert abs(100 * scores[name]["value"] - expected["mean"]) < 1e-9
        found = 100 * scores[name]["std_over_classes"]
        assert abs(found - expected["std_over_phases_ddof1"]) < 1e-9
        column = np.array(report["tables"][0]["columns"][name.title()])
        assert np.abs(100 * column - expected["per_phase"]).max() < 1e-9
    expected = content["summary"]["accuracy"]
    assert abs(100 * scores["accuracy"]["value"] - expected["mean"]) < 1e-9
    assert (
        abs(100 * scores["accuracy"]["std_over_videos"] - expected["std_over_videos_ddof1"]) < 1e-9
    )
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        RECORD,
        "report.html",
        "report.json",
        "report.md",
    ]


def test_report_names_what_was_read_with_its_sha256(golden, tmp_path, capsys) -> None:
    predictions, truth, _ = golden
    path = tmp_path / "a + b.npz"
    video, frame = np.repeat(["v1", "v2"], 10), np.tile(np.arange(10), 2)
    meta = {"classes": ["a", "b"], "fps": 1}
    score, label = np.tile([0.4, 0.6], (20, 1)), frame % 2
    write_npz(path, video=video, frame=frame, score=score, label=label, meta=meta)
    assert main(["evaluate", str(path), "--protocol=phase-strict", "--samples=5", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["system"]["runs"][0]["files"]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert files == [{"path": str(path), "sha256": sha256}]
    arguments = [str(predictions), f"--truth={truth}", "--fps=1", "--truth-fps=25", "--json"]
    digests = []
    for line in ("", "0\tPreparation\n"):
        (truth / "video60-phase.txt").write_text(f"{line}1\tPreparation\n")
        assert main(["evaluate", *arguments, "--protocol=cholec80-strict", "--samples=5"]) == 0
        files = json.loads(capsys.readouterr().out)["system"]["runs"][0]["files"]
        assert [file["path"] for file in files] == [str(predictions), str(truth)]
        digests.append([file["sha256"] for file in files])
    assert digests[0][0] == digests[1][0] and digests[0][1] != digests[1][1]


def test_list_names_every_protocol(capsys) -> None:
    assert main(["evaluate", "--list"]) == 0
    text = capsys.readouterr().out
    assert all(protocol.label in text for protocol in PROTOCOLS.values())
    assert max(map(len, text.splitlines())) <= 100
    assert main(["evaluate", "--list", "--json"]) == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)] == list(PROTOCOLS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PREDICTIONS: give at least one"),
        (["PRED"], "--protocol is needed"),
        (["PRED", "--protocol=x"], "--protocol=x: no such protocol"),
        (["nowhere.npz", "--protocol=phase-strict"], "nowhere.npz: no such file"),
        (["PRED", "--protocol=phase-strict"], "--fps is needed"),
        (["PRED", "--protocol=cholec80-strict", "--fps=1"], "holds no labels; give --truth"),
        (["PRED", "--protocol=cholec80-strict", "--fps=0"], "--fps 0: it must be above 0"),
        (
            ["PRED", "--protocol=cholec80-strict", "--fps=25", "--truth=TRUTH"],
            "check --fps and --truth-fps",
        ),
        (
            [
                "PRED",
                "--protocol=cholec80-strict",
                "--fps=1",
                "--truth=TRUTH",
                "--truth-fps=25",
                "--group-by=centre",
            ],
            "--group-by needs --groups",
        ),
        (["PRED", "--protocol=cholect50-rdv", "--fps=1"], "needs scores of several labels"),
    ],
)
def test_mistakes_are_one_line(golden, capsys, arguments, message) -> None:
    predictions, truth, _ = golden
    words = [w.replace("PRED", str(predictions)).replace("TRUTH", str(truth)) for w in arguments]
    assert main(["evaluate", *words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("surgvista: ")


def test_seeds_baseline_and_groups_on_the_screen(tmp_path: Path, capsys) -> None:
    generator = np.random.default_rng(0)
    video, frame = np.repeat([f"v{k}" for k in range(6)], 50), np.tile(np.arange(50), 6)
    label = np.tile(np.repeat([0, 1, 2], [20, 20, 10]), 6)
    meta = {"classes": ["a", "b", "c"], "fps": 1, "model": "toy"}
    for name, strength in (("s0", 2.0), ("s1", 2.0), ("base", 0.5)):
        score = np.exp(generator.normal(size=(300, 3)) + strength * np.eye(3)[label])
        score /= score.sum(1, keepdims=True)
        path = tmp_path / f"{name}.npz"
        write_npz(path, video=video, frame=frame, score=score, label=label, meta=meta)
    (tmp_path / "groups.csv").write_text(
        "video,centre\n" + "".join(f"v{k},{'Bern' if k < 3 else 'Oslo'}\n" for k in range(6))
    )
    arguments = [str(tmp_path / "s0.npz"), str(tmp_path / "s1.npz"), "--protocol=phase-strict"]
    arguments += [f"--baseline={tmp_path / 'base.npz'}", "--group-by=centre", "--internal=bern"]
    assert main(["evaluate", *arguments, f"--groups={tmp_path / 'groups.csv'}"]) == 0
    text = capsys.readouterr().out
    assert (
        text.count("mean ± std of 2 runs") == text.count("std (N-1)")
        and "Bern (internal)" in text
        and "internal better by" in text
    )
    assert "smallest p that can be reached is 0.0156 one-sided" in text


def test_instruments_of_a_dataset_in_another_order(tmp_path: Path, capsys) -> None:
    """Named columns are scored under their names, by the video names of Cholec80's splits."""
    generator = np.random.default_rng(0)
    video, frame = np.repeat(["video41", "video42"], 300), np.tile(np.arange(300), 2)
    label = (generator.random((600, 7)) < 0.3).astype(np.uint8)
    label[:, 6] = 0
    meta = {"classes": list(CHOLEC80_TOOLS[::-1]), "fps": 1, "task": "tool"}
    score, path = generator.random((600, 7)), tmp_path / "p.npz"
    write_npz(path, video=video, frame=frame, score=score, label=label, meta=meta)
    words = [str(path), "--protocol=cholec80-tool", "--samples=5", "--json"]
    assert main(["evaluate", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"]["task"] == "tool"
    table = report["tables"][0]
    assert table["classes"] == list(CHOLEC80_TOOLS)
    assert table["columns"]["Frames with it"] == label.sum(0)[::-1].tolist()
    assert table["columns"]["AP"][0] is None  # Grasper, the last column of the file
    assert any(note.startswith("In no frame: Grasper") for note in report["notes"])


def two_classes(path: Path, **meta) -> Path:
    """A small file of predictions of one video."""
    frame, about = np.arange(20), {"classes": ["a", "b"], "fps": 1} | meta
    path.parent.mkdir(parents=True, exist_ok=True)
    score = np.tile([0.4, 0.6], (20, 1))
    write_npz(path, video=np.full(20, "v"), frame=frame, score=score, label=frame % 2, meta=about)
    return path


def reported(capsys, *words: object) -> dict:
    assert main(["evaluate", *map(str, words), "--samples=5", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path, capsys) -> None:
    names = ("seed0/p.npz", "seed1/p.npz", "other/seed1/p.npz")
    paths = [two_classes(tmp_path / name) for name in names]

    def title(*files: Path) -> str:
        return reported(capsys, *files, "--protocol=phase-strict")["system"]["name"]

    assert title(paths[0]) == "p.npz"
    assert title(*paths[:2]) == tmp_path.name
    assert title(*paths[1:]) == f"{tmp_path.name} + other"


def test_systems_of_a_comparison_never_share_a_name(tmp_path: Path, capsys) -> None:
    names = ("ours/seed0/p.npz", "theirs/seed0/p.npz", "theirs/seed1/p.npz", "q.npz")
    ours, a, b, q = (two_classes(tmp_path / name, model="toy") for name in names)
    words = ["--protocol=phase-strict", f"--baseline={a}", f"--baseline={b}", f"--baseline={q}"]
    report = reported(capsys, ours, *words)
    found = [report["system"]["name"], *(base["name"] for base in report["baselines"])]
    assert found == ["ours/seed0/p.npz", "theirs/seed0/p.npz", "seed1/p.npz", "q.npz"]
    assert {item["baseline"] for item in report["comparisons"]} == set(found[1:])


def test_a_file_given_twice_is_a_mistake(tmp_path: Path, capsys) -> None:
    path = two_classes(tmp_path / "p.npz")
    (tmp_path / "link.npz").symlink_to(path)
    for again in (path, tmp_path / "." / "p.npz", tmp_path / "link.npz"):
        for words in ([again], [f"--baseline={again}"]):
            assert main(["evaluate", str(path), *map(str, words), "--protocol=phase-strict"]) == 1
            error = capsys.readouterr().err
            assert "given twice" in error and error.count("\n") == 1


def test_names_are_text_in_every_report(tmp_path: Path, capsys) -> None:
    """Whatever a class, a model or a video is called, nothing of it becomes markup."""
    evil = "<script>alert(1)</script>", "a|b*c* [d](javascript:e)\n# f \x1b[31m&lt;"
    frame = np.arange(20)
    score, meta = np.tile([0.4, 0.6], (20, 1)), {"classes": evil, "fps": 1, "model": evil[0]}
    path, video = tmp_path / "p.npz", np.repeat(["<img src=x>", "v"], 10)
    write_npz(path, video=video, frame=frame, score=score, label=frame % 2, meta=meta)
    words = [str(path), "--protocol=phase-strict", "--samples=5", f"--out={tmp_path / 'out'}"]
    assert main(["evaluate", *words]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\\x1b[31m" in shown
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "<script" not in markdown and "&lt;script&gt;" in markdown
    assert r"a\|b\*c\* \[d\](javascript:e)\\n\# f \\x1b\[31m&amp;lt;" in markdown
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page and "<img" not in page


def test_metrics_do_not_import_jax() -> None:
    code = (
        "import pkgutil, sys, importlib, surgvista_jax.metrics as m\n"
        "import surgvista_jax.commands.evaluate\n"
        "for x in pkgutil.iter_modules(m.__path__, m.__name__ + '.'):\n"
        "    importlib.import_module(x.name)\n"
        "assert not {'jax', 'flax', 'tensorflow', 'torch', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_frames_of_mistakes_come_from_what_lies_beside_the_predictions(
    tmp_path: Path, capsys
) -> None:
    """As `--keep-frames` keeps them, as a run's configuration names them, or as the option says."""
    dataset = make(tmp_path / "predicted" / "frames", {"v": [0] * 20}, {}).folder
    predicted = two_classes(tmp_path / "predicted" / "predictions.npz")
    in_run = two_classes(tmp_path / "run" / "predictions.npz")
    (in_run.parent / "config.json").write_text(json.dumps({"data": {"folder": str(dataset)}}))
    alone = two_classes(tmp_path / "alone.npz")
    words = ["--protocol=phase-strict", "--samples=5"]
    pages = []
    for number, told in enumerate(
        (
            [predicted.parent, "--frames"],
            [in_run.parent, "--frames"],
            [alone, f"--frames={dataset}"],
        )
    ):
        out = tmp_path / f"out{number}"
        assert main(["evaluate", *map(str, told), *words, f"--out={out}"]) == 0
        pages.append((out / "report.html").read_text())
        assert "base64" not in (out / "report.json").read_text()
    assert {page.count('<img src="data:image/jpeg;base64,') for page in pages} == {2}
    capsys.readouterr()
    for told, message in (
        ([f"--frames={dataset}"], "--frames: they are shown in report.html"),
        ([f"--out={tmp_path}/x", "--frames=nowhere"], "--frames nowhere: no such folder"),
        (
            [f"--out={tmp_path}/x", "--frames"],
            "give --frames=DATASET, or predict with --keep-frames",
        ),
    ):
        assert main(["evaluate", str(alone), *told, *words]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()
