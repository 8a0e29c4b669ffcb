"""The table of tasks: how each is labelled, selected and scored.

A task of one's own is an entry here, a module `surgvista_jax.reports.scoring_NAME` that scores it,
and its protocols in `surgvista_jax.metrics.named_protocols`.
"""

from dataclasses import dataclass

LABEL_KINDS = ("single", "multi")
NONE = "none"  # what dataset.json says where nothing is labelled


@dataclass(frozen=True)
class Task:
    """Something to recognise in surgical video.

    Attributes:
        name: what dataset.json, `--task` and protocols call it.
        label_kind: of the labels that its protocols score; "single": one class a frame, "multi":
            any number of classes, each there or not. A published dataset may have labels of the
            other kind, as those that count criteria do: the protocols of another task score them.
        score: what selects the best parameters (a key of `metrics.selecting.SCORES`).
        protocol: what scores any dataset of it; "" where a protocol is of one dataset.
        column: of the labels in a CSV file of one's own; where it ends in `_`, the beginning of
            several, one for each class.
        published_name: what reports and the digests of protocols call it; "": its name.
    """

    name: str
    label_kind: str
    score: str
    protocol: str
    column: str
    published_name: str = ""


TASKS = {
    task.name: task
    for task in (
        Task("phase", "single", "accuracy", "phase-strict", column="phase"),
        Task(
            "action",
            "single",
            "mean_ap",
            "clips-single",
            column="action",
            published_name="single",
        ),
        Task("triplet", "multi", "mean_ap", "", column="triplets"),
        Task("cvs", "multi", "mean_ap", "", column="cvs_", published_name="criteria"),
        Task("tool", "multi", "mean_ap", "tool-presence", column="tools"),
    )
}
