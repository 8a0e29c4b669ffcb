"""The command `surgvista evaluate`: predictions in, a report out; needs no accelerator."""

import argparse
import json
import textwrap
from pathlib import Path

from surgvista_jax.data.labels.tables import read_text
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import listed_classes, same_class
from surgvista_jax.metrics.named_protocols import PROTOCOLS, find
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.predictions.csv_table import parse_columns
from surgvista_jax.predictions.groups import KINDS, read_groups
from surgvista_jax.predictions.npz import HIGHEST_RATE
from surgvista_jax.predictions.places import frames_of
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import Grouping, build_report
from surgvista_jax.reports.files import named_system, report_folder, write_report
from surgvista_jax.reports.names import names_of_systems
from surgvista_jax.reports.screen import screen, summary

_MOST_SAMPLES = 1_000_000  # whose weights of videos memory holds
FORMATS = """\
predictions:
  .npz    video [N] text, frame [N], score [N, C], label [N] or [N, C] (-1: unlabelled), and meta,
          a JSON text with "fps", the rate of the frames, and "classes"; saved with numpy.savez
  folder  one .txt or .txt.gz a video, named as the video (video41.txt, video41-phase.txt), with
          lines `Frame<TAB>Phase`; the ground truth likewise, in a folder of its own (--truth)
  .txt    one such file of one video, or of several one after the other (--boundaries)
  .csv    a header and one row a frame; --columns says which column is what
  a run's folder, or what `surgvista predict` wrote: their predictions.npz
  labels  as `surgvista data convert videos` reads them, a CSV file or a folder with one for each
          video: rows of intervals, of seconds, of frames with their second, or of whole clips
          (path,label); mostly as --truth, where no --truth-fps is needed

examples:
  surgvista evaluate --list
  surgvista evaluate predictions.npz --protocol=cholec80-relaxed-official --out=report
  surgvista evaluate predictions/ --truth=phase_annotations/ --fps=1 --truth-fps=25 --protocol=...
  surgvista evaluate MY_RUN --truth=my_labels.csv --protocol=phase-strict
  surgvista evaluate seed0.npz seed1.npz --protocol=phase-strict --baseline other.npz
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = FORMATS
    parser.add_argument(
        "predictions",
        nargs="*",
        metavar="PREDICTIONS",
        help="predictions.npz, a folder of phase .txt files, or a .csv file; several over the same "
        "videos are seeds of one model, over disjoint videos its folds",
    )
    parser.add_argument("--protocol", help="how to evaluate; --list shows the names")
    parser.add_argument("--list", action="store_true", help="list the protocols and stop")
    parser.add_argument(
        "--baseline",
        action="append",
        nargs="+",
        default=[],
        metavar="PREDICTIONS",
        help="predictions of another model on the same frames; may be given several times",
    )
    parser.add_argument("--out", help="folder for report.json, report.md and report.html")
    add_overwrite(parser)
    parser.add_argument(
        "--frames",
        nargs="?",
        const="",
        metavar="DATASET",
        help="show frames of the mistakes in report.html, from this dataset folder or folder of "
        "videos [what `predict --keep-frames` kept, the dataset of a run]",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    files = parser.add_argument_group("text and CSV files")
    files.add_argument("--fps", type=float, help="rate of the frame numbers: frame / fps = seconds")
    files.add_argument(
        "--truth",
        type=Path,
        help="ground truth: a folder with one .txt file a video, or labels as below",
    )
    files.add_argument(
        "--boundaries",
        default="",
        metavar="FILE|truth|none",
        help="where the videos of one long sequence begin: a CSV file with lines video,frames; "
        "truth: as long as those of --truth [a .txt file]; none: it is scored as one sequence",
    )
    files.add_argument("--truth-fps", type=float, help="rate of its frame numbers [--fps]")
    files.add_argument("--classes", type=Path, help="file with one class name a line")
    files.add_argument(
        "--columns",
        default="",
        help="CSV: role=column,... with the roles video, "
        "frame or second, label, prediction or score (the columns' beginning)",
    )
    files.add_argument(
        "--first-class",
        type=int,
        choices=(0, 1),
        help="number of the first class where classes are numbers [seen from the numbers]",
    )
    files.add_argument(
        "--missing",
        choices=("error", "drop"),
        default="error",
        help="frames of a predicted video that only the predictions or only the truth hold, and "
        "videos without truth [error]",
    )
    groups = parser.add_argument_group("groups")
    groups.add_argument(
        "--group-by",
        choices=KINDS,
        help="scores of each group; with patient, patients are also what is drawn and paired",
    )
    groups.add_argument(
        "--groups",
        type=Path,
        help="dataset folder or CSV file that says which group a video belongs to",
    )
    groups.add_argument(
        "--internal",
        default="",
        help="groups that the model was trained on, separated by commas; the rest are external",
    )
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap resamples [1000]")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap [0]")


def main(args: argparse.Namespace) -> int | None:
    if args.list:
        _list_protocols(args.json)
        return None
    if not args.predictions:
        raise UserError("PREDICTIONS: give at least one file or folder (or --list)")
    if not args.protocol:
        raise UserError("--protocol is needed; --list shows the names")
    if not 1 <= args.samples <= _MOST_SAMPLES:
        raise UserError(f"--samples {args.samples}: 1 to {_MOST_SAMPLES:,} are possible")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: must be 0 or more")
    protocol = find(args.protocol)
    if args.frames is not None and not args.out:
        raise UserError("--frames: they are shown in report.html; say where by --out=DIR")
    folders = _frame_folders(args)
    owned = report_folder(Path(args.out), args.overwrite) if args.out else None
    report = evaluate(protocol, args)
    pictures = _pictures(report, folders) if folders else {}
    if owned is not None:
        write_report(report, owned.folder, owned, pictures)
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        print(screen(report) if owned is None else summary(report, owned.folder))
    return None


def evaluate(protocol: Protocol, args: argparse.Namespace) -> dict:
    """Reads what the arguments name and returns the report."""
    options = ReadingOptions(
        fps=_positive("--fps", args.fps),
        truth=args.truth,
        truth_fps=_positive("--truth-fps", args.truth_fps),
        classes=_read_classes(args.classes),
        columns=parse_columns(args.columns),
        first_class=args.first_class,
        missing=args.missing,
        boundaries=args.boundaries,
    )
    names = names_of_systems([args.predictions, *args.baseline])
    runs = read_runs(args.predictions, protocol, options)
    baselines = [
        named_system(name, read_runs(paths, protocol, options))
        for name, paths in zip(names[1:], args.baseline, strict=True)
    ]
    grouping = None
    if args.group_by:
        if not args.groups:
            raise UserError("--group-by needs --groups: a dataset folder or a CSV file")
        groups = read_groups(args.groups, args.group_by, runs[0].videos)
        spelled = {same_class(group): group for group in groups}
        told = filter(None, args.internal.split(","))
        internal = tuple(spelled.get(same_class(name), name.strip()) for name in told)
        grouping = Grouping(args.group_by, groups, internal)
    return build_report(
        protocol,
        named_system(names[0], runs),
        baselines,
        grouping,
        samples=args.samples,
        seed=args.seed,
    )


def _frame_folders(args: argparse.Namespace) -> list[Path]:
    """Where the frames of mistakes are read from; nothing without --frames."""
    if args.frames is None:
        return []
    if args.frames:
        if not Path(args.frames).is_dir():
            raise UserError(f"--frames {args.frames}: no such folder; a dataset, or one of videos")
        return [Path(args.frames)]
    folders = frames_of(args.predictions)
    if not folders:
        raise UserError(
            f"--frames: nothing beside {args.predictions[0]} says where its frames lie; give "
            "--frames=DATASET, or predict with --keep-frames"
        )
    return folders


def _pictures(report: dict, folders: list[Path]) -> dict[tuple[str, float], bytes]:
    """Frames of the mistakes; what could not be read is added to the report's notes."""
    # Only here: a report needs no pictures, nor what decodes them.
    from surgvista_jax.reports.mistake_frames import read_pictures, wanted_of

    if not report["mistakes"]:
        return {}
    mistakes = report["mistakes"]
    pictures, notes = read_pictures(wanted_of(mistakes), folders, mistakes["fps"])
    report["notes"] += notes
    return pictures


def _positive(name: str, value: float | None) -> float | None:
    if value is not None and not 0 < value <= HIGHEST_RATE:
        raise UserError(f"{name} {value:g}: it must be above 0, and at most {HIGHEST_RATE:,.0f}")
    return value


def _read_classes(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    lines = filter(str.strip, read_text(path).split("\n"))
    return listed_classes(str(path), list(lines))


def _list_protocols(as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "name": p.name,
                "version": p.version,
                "digest": p.digest,
                "task": p.published_task,
                "text": p.text.strip(),
            }
            for p in PROTOCOLS.values()
        ]
        print(json.dumps(listed, indent=1))
        return
    for protocol in PROTOCOLS.values():
        text = textwrap.fill(
            protocol.text.strip(), 100, initial_indent="    ", subsequent_indent="    "
        )
        print(f"{protocol.label}\n{text}")
