"""What of own data is trained, selected and tested on, and by which score?"""

from collections.abc import Iterator

from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.tasks.choosing.choice import Choice
from surgvista_jax.tasks.choosing.facts import DataFacts, scheme_of


def parts(data: DataFacts) -> Iterator[Choice]:
    """What is trained, selected and tested on, where the usual way would be refused."""
    splits, train = data.splits, "train"
    if scheme := scheme_of(splits, train):
        train = f"{scheme}/train"
        yield Choice("data.train", train, "the first scheme of splits that there is")
        for part in ("val", "test"):
            if f"{scheme}/{part}" in splits:
                yield Choice(f"data.{part}", f"{scheme}/{part}", "of the same scheme")
    if set(splits) <= {"train"}:
        patients = data.patients if not splits else splits["train"]
        alone = f"{patients} with labels (patients, or videos of no known one)"
        if patients < 3:
            yield Choice("data.test", "", f"{alone} are too few to test on as well: no test score")
        if patients < 2:
            yield Choice("select_on", "last", "and to select on: no score at all")
        return
    if "test" not in splits and not any(name.endswith("/test") for name in splits):
        yield Choice("data.test", "", "there is no split 'test'")
    if "val" not in splits and train in splits and splits[train] < 2:
        yield Choice("select_on", "last", "one patient to train on, of whom none can be held out")


def scoring(data: DataFacts, classes: tuple[str, ...]) -> Iterator[Choice]:
    """What selects and what reports, by task and kind of label."""
    task = TASKS.get(data.task)
    usual = task is not None and task.label_kind == data.label_kind
    score = task.score if task is not None and usual else ""
    score = score or ("accuracy" if data.label_kind == "single" else "mean_ap")
    kinds = {"single": "one label a frame", "multi": "several labels a frame"}
    yield Choice("evaluation.score", score, f"task {data.task}, {kinds[data.label_kind]}")
    fitting = task.protocol if task is not None and usual else ""
    fitting = fitting or {"single": "clips-single", "multi": "tool-presence"}[data.label_kind]
    misfit = PROTOCOLS[fitting].misfit(data.task, data.label_kind, classes)
    why = f"none scores any {data.task}" if misfit else f"it scores any {data.task}"
    yield Choice("evaluation.protocol", "" if misfit else fitting, why)
