"""Official files of every dataset that is labelled, made up and as small as can be."""

import json
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path

import cv2

from surgvista_jax.data.datasets.ophnet import FILE as OPHNET
from surgvista_jax.facts.instruments import CHOLEC80
from tests.support import footage

VIDEO = "a film of two seconds"  # at 25 frames a second
PICTURE = "a picture"
Content = str | bytes
_SECONDS = range(2)
_FRAMES = range(50)


def _each(lines: range, form: str, header: str = "") -> str:
    return header + "".join(form.format(k=k, next=k + 1, second=k // 25) + "\n" for k in lines)


def _pictures(folder: str, form: str, count: int = 3) -> dict[str, Content]:
    return {f"{folder}/{form.format(k)}": PICTURE for k in range(count)}


def _presence() -> str:
    lines = ["\t".join(("Frame", *CHOLEC80)), "0\t1\t0\t0\t0\t0\t0\t0", "25\t0\t0\t1\t0\t0\t0\t1"]
    return "\n".join(lines) + "\n"


def _triplets() -> str:
    box = [0.1, 0.1, 0.2, 0.2]
    there = [[17, 0, 1.0, *box, -1, -1, 1.0, *box, 2], [60, 2, 1.0, *box, -1, -1, 1.0, *box, 2]]
    none = [[-1, -1, 1.0, *box, -1, -1, 1.0, *box, 2]]
    return json.dumps({"annotations": {"0": there, "1": none, "2": there}})


def _intervals() -> str:
    phases = [
        {"start": 0, "end": 1500, "label_name": "preparation", "label_id": 0},
        {"start": 1500, "end": 3000, "label_name": "gastric_pouch_creation", "label_id": 1},
    ]
    return json.dumps({"phases": phases, "steps": phases[:1]})


def _index(video: str) -> bytes:
    rows = [{"frame_id": k, "phase_gt": k, "unique_id": k} for k in range(3)]
    return pickle.dumps({video: rows})


def _folds() -> dict[str, Content]:
    found: dict[str, Content] = {}
    rows = [{"Original_frame_id": k, "Phase_gt": 11, "Step_gt": 45} for k in range(3)]
    for town, video in (("bern", "BBP01"), ("strasbourg", "SBP02")):
        folder = f"labels/{town}/labels_by70_splits/labels"
        found[f"{folder}/train/1fps_100_0.pickle"] = pickle.dumps({video: rows})
        found[f"{folder}/test/1fps_0.pickle"] = pickle.dumps({})
    return found


_BYPASS = {
    **_pictures("datasets/BernBypass70/frames/BBP01", "img{}.jpg"),
    **_pictures("datasets/StrasBypass70/frames/SBP02", "img{}.jpg"),
}
_PSI_LINE = "{case},{{k}},{{next}},0.0,0.0,0.0,0.0,0,-1,-1,0,1,1"
_PSI_AVA = {
    **_pictures("keyframes/CASE001", "{:05d}.jpg"),
    **_pictures("keyframes/CASE002", "{:05d}.jpg"),
    **{
        f"outputs/data_annotations/psi-ava_extended/{fold}/annotations/{name}.csv": _each(
            range(3), _PSI_LINE.format(case=f"CASE00{1 + ((fold == 'fold1') == (name == 'val'))}")
        )
        for fold in ("fold1", "fold2")
        for name in ("train", "val")
    },
}
_PITVIS = {
    "video_02.mp4": VIDEO,
    "annotations_02.csv": _each(
        range(3), "2,{k},1,13,16", "int_video,int_time,int_step,int_instrument1,int_instrument2\n"
    ),
}
_CHOLECT50 = {
    **_pictures("videos/VID01", "{:06d}.png"),
    **_pictures("videos/VID92", "{:06d}.png"),
    "labels/VID01.json": _triplets(),
    "labels/VID92.json": _triplets(),
}
_ENDOSCAPES = {
    **{f"train/1_{number}.jpg": PICTURE for number in (950, 975, 1000)},
    "val/121_25.jpg": PICTURE,
    "test/162_25.jpg": PICTURE,
    "train_vids.txt": "1.000000000000000000e+00\n",
    "val_vids.txt": "121\n",
    "test_vids.txt": "162\n",
    "all_metadata.csv": 'vid,frame,avg_cvs\n1,975,"[0.3333333, 0.6666667, 1.0]"\n'
    '1,1000,"[0, 0, 0]"\n121,25,"[1, 1, 1]"\n162,25,\n',
}

# Name of a dataset -> path below its source -> what is there.
FILES: dict[str, Mapping[str, Content]] = {
    "autolaparo": {
        **_pictures("frames/01", "{:05d}.jpg"),
        "labels/label_01.txt": _each(range(1, 4), "{k}\t{k}", "Frame\tPhase\n"),
    },
    "cataract101": {
        "videos/case_269.mp4": VIDEO,
        "videos.csv": "VideoID;Frames;FPS;Surgeon;Experience\n269;50;25;4;1\n",
        "annotations.csv": "VideoID;FrameNo;Phase\n269;5;1\n269;25;2\n269;50;2\n",
    },
    "cataract21": {
        "videos/case_18.mp4": VIDEO,
        "labels/case_18.csv": _each(_FRAMES, "{k},Tonisieren"),
    },
    "cataracts": {
        "videos/micro/train01.mp4": VIDEO,
        "ground_truth/CATARACTS_2020/train_gt/train01.csv": _each(
            range(1, 51), "{k},3", "Frame,Steps\n"
        ),
    },
    "cholec80": {
        "videos/video01.mp4": VIDEO,
        "phase_annotations/video01-phase.txt": _each(_FRAMES, "{k}\tPreparation", "Frame\tPhase\n"),
    },
    "cholec80-cvs": {
        **_pictures("videos/video01_1", "frame_{}.png"),
        **_pictures("videos/video41_1", "frame_{}.png"),
        "labels.csv": "video,clip,structures,total\nvideo01,1,2,4\nvideo41,1,0,0\n",
    },
    "cholec80_tool": {
        "videos/video01.mp4": VIDEO,
        "tool_annotations/video01-tool.txt": _presence(),
    },
    "cholect45": {
        **_pictures("data/VID79", "{:06d}.png"),
        "triplet/VID79.txt": "0 17,94\n1 -1\n2 5\n",
    },
    "cholect50": _CHOLECT50,
    "cholect50_tool": _CHOLECT50,
    "endoscapes": _ENDOSCAPES,
    "endoscapes-count": _ENDOSCAPES,
    "esd57": {
        **{f"frames/{video}/{k:05d}.jpg": PICTURE for video in (1, 2, 57) for k in _SECONDS},
        **{f"phases/{video}.txt": "frame phase\n0 0\n1 7\n" for video in (1, 2, 57)},
    },
    "heichole-phases": {
        "Videos/Full/Hei-Chole1.mp4": VIDEO,
        "Annotations/Phase/Hei-Chole1_Annotation_Phase.csv": _each(_FRAMES, "{k},{second}"),
    },
    "heichole_tool": {
        "Videos/Full/Hei-Chole1.mp4": VIDEO,
        "Annotations/Instrument/Hei-Chole1_Annotation_Instrument.csv": _each(
            _FRAMES, "{k},1" + ",0" * 20
        ),
    },
    "m2cai16": {
        "train_dataset/workflow_video_02.mp4": VIDEO,
        "train_dataset/workflow_video_02.txt": _each(
            _FRAMES, "{k}\tTrocarPlacement", "Frame\tPhase\n"
        ),
    },
    "m2cai16_tool": {
        "train_dataset/tool_video_01.mp4": VIDEO,
        "train_dataset/tool_video_01.txt": _presence(),
    },
    "multibypass140-phases": {
        **_BYPASS,
        "labels/bern/labels_by70/BBP01.mp4.json": _intervals(),
        "labels/strasbourg/labels_by70/SBP02.mp4.json": _intervals(),
    },
    "multibypass140-steps": {**_BYPASS, **_folds()},
    "ophnet": {
        **_pictures("videos/case_0002", "{:05d}.jpg", 6),
        OPHNET: "video_id,start,end,split,surgery_id,phase_id\n"
        "case_0002,0,2.5,train,5,3\ncase_0002,2.5,5,train,5,6\n",
    },
    "pitvis-steps": _PITVIS,
    "pitvis_tool": _PITVIS,
    "pmlr50": {
        **_pictures("frames/01", "{:08d}.jpg"),
        **_pictures("frames/02", "{:08d}.jpg"),
        **_pictures("frames/03", "{:08d}.jpg"),
        "labels/train/1fpstrain.pickle": _index("1"),
        "labels/val/1fpsval.pickle": _index("2"),
        "labels/test/1fpstest.pickle": _index("03"),
    },
    "prostatd": {
        **_pictures("frames_resized/train/a1", "{}.jpg"),
        **_pictures("frames_resized/test/b2", "{}.jpg"),
        **{
            f"annos/{place}.json": json.dumps({"annotations": {"0": [[21, 0, 9, 9, *[-1] * 6]]}})
            for place in ("train/a1", "test/b2")
        },
    },
    "psi-ava-phases": _PSI_AVA,
    "psi-ava-steps": _PSI_AVA,
    "surgicalactions160": {
        "clips/01_01.mp4": VIDEO,
        "clips/16_10.mp4": VIDEO,
        "train.txt": "01_01\n",
        "test.txt": "16_10\n",
    },
}


def make_source(name: str, folder: Path, film: Path) -> list[Path]:
    """Makes the official files of a dataset; returns those with labels."""
    labels = []
    for place, content in FILES[name].items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == VIDEO:
            shutil.copy(film, path)
        elif content == PICTURE:
            path.write_bytes(cv2.imencode(path.suffix, footage.picture(7, 64, 48))[1].tobytes())
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            labels.append(path)
    return labels
