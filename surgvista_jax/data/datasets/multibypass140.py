"""MultiBypass140: the layout of its phases and steps.

Confirmed by CAMMA-public/MultiBypass140 and its labels: 140 videos of two centres, 12 phases and
46 steps in their order, five folds in index files, one frame a second. Unconfirmed: 303,764 and
457,787 frames, told by SurgVISTA alone.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.official import (
    Counts,
    Official,
    Reading,
    Recording,
    gather,
)
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.datasets.bypass70 import ACCESS, CITATION, LICENCE
from surgvista_jax.data.labels.index_pickle import frame_labels, read_index
from surgvista_jax.data.labels.json_file import is_number, read_json, whole_numbers
from surgvista_jax.data.labels.track import Interval, IntervalLabels, Track, overlap_notes
from surgvista_jax.errors import UserError

PHASES = (
    "preparation",
    "gastric_pouch_creation",
    "omentum_division",
    "gastrojejunal_anastomosis",
    "anastomosis_test",
    "jejunal_separation",
    "closure_petersen_space",
    "jejunojejunal_anastomosis",
    "closure_mesenteric_defect",
    "cleaning_coagulation",
    "disassembling",
    "other_intervention",
)
STEPS = tuple(
    """s0_null_step s1_cavity_exploration s2_trocar_placement s3_retractor_placement
    s4_crura_dissection s5_his_angle_dissection s6_horizontal_stapling s7_retrogastric_dissection
    s8_vertical_stapling s9_gastric_remnant_reinforcement s10_gastric_pouch_reinforcement
    s11_gastric_opening s12_omental_lifting s13_omental_section s14_adhesiolysis
    s15_treitz_angle_identification s16_biliary_limb_measurement s17_jejunum_opening
    s18_gastrojejunal_stapling s19_gastrojejunal_defect_closing s20_mesenteric_opening
    s21_jejunal_section s22_gastric_tube_placement s23_jejunal_clamping s24_ink_injection
    s25_visual_assessment s26_gastrojejunal_anastomosis_reinforcement s27_petersen_space_exposure
    s28_petersen_space_closing s29_biliary_limb_opening s30_alimentary_limb_measurement
    s31_alimentary_limb_opening s32_jejunojejunal_stapling s33_jejunojejunal_defect_closing
    s34_jejunojejunal_anastomosis_reinforcement s35_staple_line_reinforcement
    s36_mesenteric_defect_exposure s37_mesenteric_defect_closing s38_anastomosis_fixation
    s39_coagulation s40_irrigation_aspiration s41_parietal_closure s42_trocar_removal
    s43_calibration s44_drainage_insertion s45_specimen_retrieval""".split()
)
# Marks that the files list among the phases, over them: they are about the picture.
MARKS = {12: "out_of_body", 13: "severe_index"}
CENTRES = {"bern": ("BBP", "BernBypass70"), "strasbourg": ("SBP", "StrasBypass70")}
NUM_FOLDS = 5
LAYOUT = """\
SOURCE/                                     the repository of the authors, and the videos in it
  labels/bern/labels_by70/BBP01.mp4.json …              intervals in ms: {"phases": [{"start",
  labels/strasbourg/labels_by70/SBP01.mp4.json …        "end", "label_name", "label_id"}], "steps"}
  labels/bern/labels_by70_splits/labels/train/1fps_100_0.pickle …  test/1fps_4.pickle
      five folds: video -> a list of {"Original_frame_id", "Phase_gt", "Step_gt"} a second
  datasets/MultiBypass140/BernBypass70/videos/BBP01.mp4 …       (or frames/BBP01/*.jpg)
  datasets/MultiBypass140/StrasBypass70/videos/SBP01.mp4 …"""


def read(folder: Path, kind: str) -> Reading:
    """Reads the phases or the steps of both centres, from the index files of the folds.

    A video that no index file holds has the labels of its JSON file.
    """
    places: dict[str, list[str]] = {}
    files: dict[str, Path] = {}
    splits: dict[str, list[str]] = {}
    notes: list[Remark] = []
    for centre, (prefix, name) in CENTRES.items():
        for number in range(1, 71):
            video = f"{prefix}{number:02d}"
            below = (f"datasets/MultiBypass140/{name}", f"datasets/{name}", name)
            places[video] = [f"{b}/{part}/{video}" for b in below for part in ("videos", "frames")]
            places[video].append(f"labels/{centre}/labels_by70_splits/frames/{video}")
        _read_folds(folder, centre, splits, files)
        splits[f"centre/{centre}"] = [f"{prefix}{number:02d}" for number in range(1, 71)]
    sources, remarks = gather(folder, places, fps=1.0)
    recordings, from_json = [], []
    for source in sources:
        video = source.video
        centre = "bern" if video.startswith("BBP") else "strasbourg"
        labels: Callable[[], Track]
        if video in files:
            labels = partial(read_index_labels, files[video], video, kind)
        else:
            path = folder / "labels" / centre / "labels_by70" / f"{video}.mp4.json"
            labels = partial(read_intervals, path, kind)
            from_json.append(video)
        recordings.append(
            Recording(source, labels, patient=f"bypass-{video}", centre=centre.capitalize())
        )
    if from_json:
        text = (
            f"{counted(len(from_json), 'video is', 'videos are')} in no index file: their labels"
            " are of JSON files"
        )
        notes.append(Remark(str(folder / "labels"), text))
    # The usual splits are those of the first fold, of both centres.
    for split in ("train", "val", "test"):
        if f"fold1/{split}" in splits:
            splits[split] = splits[f"fold1/{split}"]
    return Reading(recordings, splits, [*remarks, *notes])


def _read_folds(
    folder: Path, centre: str, splits: dict[str, list[str]], files: dict[str, Path]
) -> None:
    """Adds the folds of one centre that are there, and where each video's labels are."""
    folder = folder / "labels" / centre / "labels_by70_splits" / "labels"
    for fold in range(NUM_FOLDS):
        for split, name in (("train", "1fps_100"), ("val", "1fps"), ("test", "1fps")):
            path = folder / split / f"{name}_{fold}.pickle"
            if path.exists():
                videos = list(read_index(path))
                for scheme in (f"fold{fold + 1}", f"{centre}-fold{fold + 1}"):
                    splits.setdefault(f"{scheme}/{split}", []).extend(videos)
                for video in videos:
                    files.setdefault(video, path)


def read_index_labels(path: Path, video: str, kind: str) -> Track:
    """Reads the labels of one video from an index file."""
    column, classes = ("Phase_gt", PHASES) if kind == "phases" else ("Step_gt", STEPS)
    return frame_labels(path, video, "Original_frame_id", column, len(classes))


def read_intervals(path: Path, kind: str) -> IntervalLabels:
    """Reads the phases or steps of a JSON file."""
    classes = PHASES if kind == "phases" else STEPS
    held = read_json(path)
    entries = held.get(kind) if isinstance(held, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"{path}, line 1: must hold an object with a list {kind!r}")
    intervals, marks = [], 0
    for number, entry in enumerate(entries, start=1):
        start, end, label = _checked(entry, f"{path}, line 1, {kind} {number}")
        if kind == "phases" and label in MARKS:
            marks += 1
            continue
        if not 0 <= label < len(classes):
            raise UserError(f"{path}, line 1, {kind} {number}: unknown label_id {label}")
        intervals.append(Interval(start / 1000, end / 1000, label))
    notes = overlap_notes(intervals)
    if marks:
        notes += ("out_of_body and severe_index, which lie over phases, are passed over",)
    return IntervalLabels(tuple(intervals), notes=notes)


def _checked(entry: Any, where: str) -> tuple[float, float, int]:
    keys = ("start", "end", "label_id")
    if not isinstance(entry, dict) or not all(is_number(entry.get(key)) for key in keys):
        raise UserError(f"{where}: needs numbers start, end and label_id, is {entry!r:.80}")
    start, end = float(entry["start"]), float(entry["end"])
    (label,) = whole_numbers([entry["label_id"]], where)
    if end < start:
        raise UserError(f"{where}: end {end:g} lies before start {start:g}")
    return start, end, label


def _dataset(kind: str, classes: tuple[str, ...]) -> Official:
    return Official(
        name=f"multibypass140-{kind}",
        title=f"MultiBypass140 ({kind})",
        task="phase",
        classes=classes,
        read=partial(read, kind=kind),
        layout=LAYOUT,
        procedure="laparoscopic Roux-en-Y gastric bypass",
        centre="Inselspital, Bern; University Hospital of Strasbourg",
        licence=LICENCE,
        access=ACCESS,
        citation=CITATION,
        published={
            "centre/bern": Counts(70, 303_764),
            "centre/strasbourg": Counts(70, 457_787),
        },
    )


DATASETS = (_dataset("phases", PHASES), _dataset("steps", STEPS))
