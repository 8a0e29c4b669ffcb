"""Which tasks are there, how are they labelled, and what do they hang on?

A task of one's own is an entry here, a module `surgvista_jax.reports.scoring_NAME` that evaluates
it, and a protocol or more in `surgvista_jax.metrics.catalogue`.
"""

from dataclasses import dataclass

LABEL_KINDS = ("single", "multi")
NONE = "none"  # what dataset.json says where nothing is labelled


@dataclass(frozen=True)
class Task:
    """Something to recognise in surgical video.

    Attributes:
        name: what dataset.json, protocols and `--task` call it.
        label_kind: "single": one class a frame; "multi": any number of classes, each yes or no.
            It is the kind that the task's protocols score.
        score: what selects the best parameters by default (a key of `metrics.selecting.SCORES`).
        column: of a CSV file of labels; one that ends in `_` begins the names of several columns,
            one for each class.
        published_name: what reports and the digests of protocols call it; None: its name.
    """

    name: str
    label_kind: str
    score: str
    column: str
    published_name: str | None = None


TASKS = {
    task.name: task
    for task in (
        Task("phase", "single", "accuracy", "phase"),
        Task("action", "single", "accuracy", "action", published_name="single"),
        Task("triplet", "multi", "mean_ap", "triplets"),
        Task("cvs", "multi", "mean_ap", "cvs_", published_name="criteria"),
        Task("tool", "multi", "mean_ap", "tools"),
    )
}
