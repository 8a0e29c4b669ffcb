"""Is the classifier that a run's weights hold the one that was trained?"""

import dataclasses

import jax
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.trained import load_classifier
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import make_finetuning
from surgvista_jax.tasks.outcome import description
from surgvista_jax.tasks.selection import Selection
from tests.support.finetune_run import make_config, make_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("colours") / "data", "multi")


def saved(folder, workdir, *words):
    """A task, and its random parameters as a run saves them."""
    file = make_config(workdir / "config.py", folder)
    words = [f"--config.{word}" for word in (*words, "mix.mixup=0.0", "mix.cutmix=0.0")]
    values = load_config(str(file), FinetuneConfig, words)
    config = build(FinetuneConfig, values)
    start, dataset = starting_point(config), read_dataset(folder).split("train")
    label = labelled_samples(dataset, start.clip).label
    task = make_finetuning(config, start.model, start.clip, dataset, label)
    parts = {"model": task.model, "head": config.head, "clip": task.clip}
    about = description(
        config, dataset, name="", **{key: dataclasses.asdict(part) for key, part in parts.items()}
    )
    params = jax.tree.map(np.asarray, unbox(task.init_params()))
    Selection(workdir, 0).add(1, 0.5, params, about)
    (workdir / "config.json").write_text(values.to_json_best_effort())
    return task, params


@pytest.mark.parametrize(
    "words",
    [
        ["mode=full"],
        ["mode=attentive"],
        ["model.encoder.norm=true", "model.encoder.tubelet=1", "clip.num_frames=1"],
    ],
)
def test_the_classifier_of_a_run_is_the_one_that_was_trained(folder, tmp_path, words):
    task, params = saved(folder, tmp_path, *words)
    found = load_classifier(str(tmp_path), {}, compute=task.config.compute)
    assert found.classifier == task.classifier
    assert found.meaning.classes == task.labels.classes and found.meaning.clip == task.clip
    jax.tree.map(np.testing.assert_array_equal, found.params, params)


def test_what_a_run_says_of_itself_cannot_be_replaced(folder, tmp_path):
    saved(folder, tmp_path)
    with pytest.raises(UserError, match="its own fps is 1.0, which cannot be replaced"):
        load_classifier(str(tmp_path), {"fps": 2.0})
    assert load_classifier(str(tmp_path), {"fps": 1.0}).meaning.fps == 1.0
