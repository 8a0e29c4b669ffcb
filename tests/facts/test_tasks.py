"""Does each task of the table have all that the table promises?"""

import importlib

import pytest

from surgvista_jax.data.dataset import TASKS as IN_DATASETS
from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.metrics.selecting import SCORES


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_scored_selected_and_told_in_datasets(name: str) -> None:
    task = TASKS[name]
    assert task.name == name and name in IN_DATASETS
    assert task.label_kind in SCORES[task.score].label_kinds
    assert callable(importlib.import_module(f"surgvista_jax.reports.scoring_{name}").evaluate)
    assert name in {protocol.task for protocol in PROTOCOLS.values()}
    if task.protocol:  # scores any dataset: no classes of its own
        assert PROTOCOLS[task.protocol].task == name
        assert PROTOCOLS[task.protocol].class_names == ()


def test_reports_keep_the_names_that_tasks_were_published_under() -> None:
    names = [TASKS[name].published_name or name for name in TASKS]
    assert names[:4] == ["phase", "single", "triplet", "criteria"] and len(set(names)) == len(names)
