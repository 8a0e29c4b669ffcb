"""Experiment trackers outside a run's folder: Weights & Biases and MLflow, behind one interface."""

import importlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from surgvista_jax.errors import UserError

TENSORBOARD = "tensorboard"  # the event files of every run, and nothing outside its folder
TRACKERS = (TENSORBOARD, "wandb", "mlflow")
PROJECT = "surgvista"  # where the tracker's own variables name no other
STEP, EVALUATED = "step", "evaluated_step"  # axes: of lines of metrics, and of evaluations

End = Literal["finished", "stopped", "failed"]
_LONGEST_PARAM, _MOST_PARAMS = 500, 100  # that every store of MLflow takes, and takes at a time
# What each asks of its own package, and what has it send less or wait less. The user's word counts.
_NEEDED = {"wandb": "init", "mlflow": "MlflowClient"}
_USUAL = {
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class Tracker(Protocol):
    """One tracked run, which goes on where an earlier start of the run left it.

    Attributes:
        notes: by which the next start finds it; JSON values without secrets.
    """

    notes: dict[str, str]

    def log(self, axis: str, step: int, values: Mapping[str, float]) -> None:
        """Adds values at a step of an axis; those that the tracked run has already are passed over.

        Steps of an axis come in their order.
        """

    def close(self, end: End) -> None:
        """Hands over what is left, and says how the run ended."""


class Facts(NamedTuple):
    """What goes along with a run, beside its numbers.

    Attributes:
        config: "clip.size" -> value.
        about: "versions.jax" -> value: versions, the state of the sources, the hardware.
        commit: of the sources; "" where they are in no tree of git.
    """

    config: Mapping[str, Any]
    about: Mapping[str, Any]
    commit: str = ""


def check_tracker(name: str) -> None:
    """Refuses, before anything is loaded, a tracker that could not begin.

    Raises:
        UserError: its package is missing, it is not logged in, it cannot be reached.
    """
    if name == TENSORBOARD:
        return
    module = _module(name)
    try:
        if name == "wandb":
            if not _is_offline(module) and not module.login(verify=True):
                raise UserError("config.tracking=wandb: nobody is logged in (`wandb login`)")
        else:
            module.MlflowClient().search_experiments(max_results=1)
    except UserError:
        raise
    except Exception as error:  # their errors have no common type
        raise UserError(f"config.tracking={name}: cannot begin ({reason_of(error)})") from error


def begin_tracker(
    name: str, run: str, folder: Path, facts: Facts, notes: Mapping[str, str]
) -> Tracker:
    """Begins a tracked run, or goes on with the one of an earlier start.

    Args:
        name: "wandb" or "mlflow".
        run: what it is called.
        folder: where files of the tracker may lie.
        notes: `Tracker.notes` of the earlier start; {} where there was none.

    Raises:
        UserError: it cannot begin.
    """
    module = _module(name)
    try:
        if name == "wandb":
            return _Wandb(module, run, folder, facts, notes)
        return _Mlflow(module, run, facts, notes)
    except Exception as error:  # their errors have no common type
        raise UserError(f"config.tracking={name}: cannot begin ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """An error in a few words."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{said:.200}"


def _module(name: str) -> Any:
    for variable, value in _USUAL.items():
        os.environ.setdefault(variable, value)
    advice = f"pip install {name}, or leave config.tracking={TENSORBOARD}"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"config.tracking={name}: {reason_of(error)}: {advice}") from None
    # Trackers make folders of their own name, which are imported from where a command is typed.
    if not hasattr(module, _NEEDED[name]):
        raise UserError(f"config.tracking={name}: the package is missing: {advice}")
    return module


def _is_offline(wandb: Any) -> bool:
    """Whether W&B's variables or files say that nothing leaves this machine."""
    return wandb.setup().settings.mode in ("offline", "dryrun", "disabled")


class _Wandb:
    """A run of Weights & Biases. Project, name, mode and the rest: by its own variables, WANDB_….

    What it has is told by the last step of each axis, which it gives a run that is resumed. A start
    without network cannot ask: it writes the whole run anew, into a folder that takes the place of
    those of earlier starts wherever `wandb sync` brings it.
    """

    def __init__(
        self, wandb: Any, run: str, folder: Path, facts: Facts, notes: Mapping[str, str]
    ) -> None:
        self.notes = {"id": notes.get("id") or secrets.token_hex(4)}
        offline = _is_offline(wandb)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=os.environ.get("WANDB_NAME") or run,
            dir=os.environ.get("WANDB_DIR") or str(folder),
            id=self.notes["id"],
            resume=None if offline else "allow",
            # The console and changes in the sources may name patients and folders.
            settings=wandb.Settings(console="off", disable_code=True, disable_git=True),
        )
        self._run.config.update({**facts.config, **facts.about}, allow_val_change=True)
        for axis in (STEP, EVALUATED):
            self._run.define_metric(axis, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        summary = {} if offline else self._run.summary
        self._reached = {axis: int(summary.get(axis, -1)) for axis in (STEP, EVALUATED)}

    def log(self, axis: str, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        if step <= self._reached[axis]:
            return
        if axis != STEP:
            for name in values:
                self._run.define_metric(name, step_metric=axis)
        self._run.log({axis: step, **values})
        self._reached[axis] = step

    def close(self, end: End) -> None:
        """See `Tracker`."""
        self._run.finish(exit_code=1 if end == "failed" else 0)


def _absolute(place: str) -> str:
    """A store's place that may depend on the current folder, as one that does not."""
    scheme, _, path = place.partition(":///")
    relative = path and not path.startswith((":memory:", "file:"))
    if relative and scheme.partition("+")[0] == "sqlite":
        return f"{scheme}:///{Path(path).absolute()}"
    if scheme == place and place.startswith("file:") and not place.startswith("file://"):
        return f"file://{Path(place.removeprefix('file:')).absolute()}"
    return place if ":" in place else str(Path(place).absolute())


class _Mlflow:
    """A run of MLflow. Where, which experiment and what name: by its own variables, MLFLOW_….

    What it has, the store tells: the last step of each value.
    """

    def __init__(self, mlflow: Any, run: str, facts: Facts, notes: Mapping[str, str]) -> None:
        # A place that a variable tells may hold a password. Without one it depends on where the
        # command is typed, and is noted.
        told = os.environ.get("MLFLOW_TRACKING_URI")
        place = told or notes.get("place") or _absolute(mlflow.get_tracking_uri())
        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(tracking_uri=place)
        self._id = self._begin(mlflow, os.environ.get("MLFLOW_RUN_NAME") or run, notes.get("run"))
        self.notes = {"run": self._id} if told else {"run": self._id, "place": place}
        known = self._client.get_run(self._id).data
        self._tell(facts, known.params)
        self._reached = {
            name: max(point.step for point in self._client.get_metric_history(self._id, name))
            for name in known.metrics
        }

    def _begin(self, mlflow: Any, run: str, noted: str | None) -> str:
        """The run of an earlier start, where this store has it; else a new one."""
        if noted is not None:
            try:
                if self._client.get_run(noted).info.lifecycle_stage == "active":
                    self._client.update_run(noted, status="RUNNING")
                    return noted
            except mlflow.exceptions.MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        return str(self._client.create_run(experiment, run_name=run).info.run_id)

    def _tell(self, facts: Facts, known: Mapping[str, str]) -> None:
        """Parameters never change: a value that did is a tag, as all is that belongs to a start."""
        values = {name: f"{value}"[:_LONGEST_PARAM] for name, value in facts.config.items()}
        changed = {f"now.{name}": value for name, value in values.items() if name in known}
        changed = {name: text for name, text in changed.items() if text != known[name[4:]]}
        new = [self._entities.Param(*item) for item in values.items() if item[0] not in known]
        for first in range(0, len(new), _MOST_PARAMS):
            self._client.log_batch(self._id, params=new[first : first + _MOST_PARAMS])
        tags = {**facts.about, **changed, "mlflow.source.name": "surgvista"}
        if facts.commit:
            tags["mlflow.source.git.commit"] = facts.commit
        for name, value in tags.items():
            self._client.set_tag(self._id, name, value)

    def log(self, axis: str, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker`."""
        new = {name: v for name, v in values.items() if step > self._reached.get(name, -1)}
        if not new:
            return
        now = round(time.time() * 1000)
        points = [self._entities.Metric(name, value, now, step) for name, value in new.items()]
        self._client.log_batch(self._id, metrics=points)
        self._reached |= dict.fromkeys(new, step)

    def close(self, end: End) -> None:
        """See `Tracker`."""
        status = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[end]
        self._client.set_terminated(self._id, status=status)
