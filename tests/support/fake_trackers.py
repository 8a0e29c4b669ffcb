"""As much of the packages wandb and mlflow as a run uses, in memory, with the real ones' names.

What they do was noted from wandb and mlflow themselves: a run of W&B that is resumed brings its
summary, which holds the last value of each key; one without network starts empty. MLflow keeps all
points of a metric, also two of one step, and refuses a parameter's second value.
"""

import types


class FakeWandb(types.ModuleType):
    """Runs by id, each a list of starts: dicts of rows, config, and how it ended.

    Attributes:
        mode: as the variable WANDB_MODE says.
        key: whether somebody is logged in.
        broken: what the next calls of `log` raise; None for nothing.
    """

    def __init__(self):
        super().__init__("wandb")
        self.runs, self.mode, self.key, self.broken = {}, "online", True, None
        self.calls = []

    def setup(self):
        return types.SimpleNamespace(settings=types.SimpleNamespace(mode=self.mode))

    def login(self, verify):
        if not self.key:
            raise ValueError("api_key not configured (no-tty). call wandb.login()")
        return True

    def Settings(self, **values):
        return values

    def init(self, **values):
        self.calls.append(values)
        starts = self.runs.setdefault(values["id"], [])
        if values["resume"] == "allow" and starts:
            return _WandbRun(self, starts[-1])
        starts.append({"rows": [], "config": {}, "end": None, "axes": {}})
        return _WandbRun(self, starts[-1])


class _WandbRun:
    def __init__(self, module, start):
        self._module, self._start = module, start
        self.summary = {key: value for row in start["rows"] for key, value in row.items()}
        self.config = self

    def update(self, values, allow_val_change):
        assert allow_val_change
        self._start["config"] |= values

    def define_metric(self, name, step_metric=None, hidden=False):
        self._start["axes"][name] = step_metric

    def log(self, row):
        if self._module.broken is not None:
            raise self._module.broken
        self._start["rows"].append(row)

    def finish(self, exit_code):
        self._start["end"] = exit_code


class MlflowException(Exception):
    error_code = "RESOURCE_DOES_NOT_EXIST"


class FakeMlflow(types.ModuleType):
    """Stores by their place.

    Attributes:
        broken: what the next calls that write points raise; None for nothing.
    """

    def __init__(self):
        super().__init__("mlflow")
        self.stores, self.broken, self.calls = {}, None, 0
        self.exceptions = types.SimpleNamespace(MlflowException=MlflowException)
        self.entities = types.SimpleNamespace(
            Param=lambda key, value: types.SimpleNamespace(key=key, value=value),
            Metric=lambda key, value, timestamp, step: types.SimpleNamespace(
                key=key, value=value, step=step
            ),
        )

    def runs(self):
        """All runs of all stores."""
        return [run for store in self.stores.values() for run in store["runs"].values()]

    def get_tracking_uri(self):
        return "sqlite:///here.db"

    def MlflowClient(self, tracking_uri=None):
        self.calls += 1
        return _MlflowClient(self, self.stores.setdefault(tracking_uri, {"names": {}, "runs": {}}))


class _MlflowClient:
    def __init__(self, module, store):
        self._module, self._names, self._runs = module, store["names"], store["runs"]

    def search_experiments(self, max_results):
        return []

    def get_experiment_by_name(self, name):
        known = name in self._names
        return types.SimpleNamespace(experiment_id=self._names[name]) if known else None

    def create_experiment(self, name):
        return self._names.setdefault(name, f"{len(self._names) + 1}")

    def create_run(self, experiment_id, run_name):
        assert experiment_id in self._names.values()
        info = types.SimpleNamespace(
            run_id=f"run{len(self._runs)}",
            run_name=run_name,
            status="RUNNING",
            lifecycle_stage="active",
        )
        data = types.SimpleNamespace(params={}, metrics={}, tags={}, points=[])
        self._runs[info.run_id] = types.SimpleNamespace(info=info, data=data)
        return self._runs[info.run_id]

    def get_run(self, run_id):
        if run_id not in self._runs:
            raise MlflowException(f"Run with id={run_id} not found")
        return self._runs[run_id]

    def update_run(self, run_id, status):
        self.get_run(run_id).info.status = status

    set_terminated = update_run

    def set_tag(self, run_id, name, value):
        self.get_run(run_id).data.tags[name] = str(value)

    def log_batch(self, run_id, metrics=(), params=()):
        if metrics and self._module.broken is not None:
            raise self._module.broken
        data = self.get_run(run_id).data
        assert len(params) <= 100
        for param in params:
            assert data.params.setdefault(param.key, param.value) == param.value
            assert len(param.value) <= 500
        for point in metrics:
            data.points.append(point)
            data.metrics[point.key] = point.value

    def get_metric_history(self, run_id, name):
        return [point for point in self.get_run(run_id).data.points if point.key == name]
