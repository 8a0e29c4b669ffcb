"""Does the linear probe find what features hold, and are they computed once only?"""

import dataclasses
import json

import numpy as np
import pytest

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.every_clip import EveryClip, Outputs
from surgvista_jax.tasks.finetuning import probe
from surgvista_jax.tasks.finetuning.config import FinetuneConfig, ProbeConfig
from surgvista_jax.tasks.finetuning.probe import choose, sweep_settings
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import make_finetuning
from surgvista_jax.tasks.finetuning.train import finetune
from surgvista_jax.tasks.programs import run
from surgvista_jax.training.checkpoint import restore_params
from surgvista_jax.training.partition import MeshConfig, make_mesh
from surgvista_jax.training.rundir import read_config
from surgvista_jax.training.watch import Place
from tests.support.bit_flips import say_packed
from tests.support.finetune_run import make_config, make_dataset, predictions
from tests.support.one_device import all_on_one_device  # noqa: F401
from tests.support.watched_places import watched_places


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    file = make_config(folder / "config.py", make_dataset(folder / "data"))
    config = build(FinetuneConfig, load_config(str(file), FinetuneConfig, ["--config.mode=linear"]))
    start = starting_point(config)
    dataset = read_dataset(folder / "data").split("train")
    label = labelled_samples(dataset, start.clip).label
    return make_finetuning(config, start.model, start.clip, dataset, label)


def with_probe(task, **settings):
    return dataclasses.replace(
        task, config=dataclasses.replace(task.config, probe=ProbeConfig(**settings))
    )


def features(spread, seed=0):
    """Three classes about three points of 16 dimensions, of very different sizes."""
    rng = np.random.default_rng(seed)
    points = np.random.default_rng(9).normal(size=(3, 16))
    label = rng.integers(0, 3, 150).astype(np.int32)
    x = points[label] + spread * rng.normal(size=(150, 16))
    return (x * 10.0 ** np.linspace(-2, 2, 16)).astype(np.float32), label


def train_linear(task, x, label):
    """The layers of all epochs: kernel [epochs, S, D, C], bias [epochs, S, C]."""
    epochs = list(probe.train_linear(task, x, label))
    return probe.Layers(*map(np.stack, zip(*epochs, strict=True)))


def accuracy(sweep, x, label):
    """[epochs, S]"""
    logits = np.einsum("nd,esdc->esnc", x, sweep.kernel) + sweep.bias[:, :, None]
    return (logits.argmax(-1) == label).mean(-1)


def test_separable_features_are_separated_by_every_usual_rate(task):
    task = with_probe(task, epochs=60, batch_size=32)
    sweep = train_linear(task, *features(0.2))
    assert sweep.kernel.shape == (60, 12, 16, 3)
    assert sweep.bias.shape == (60, 12, 3)
    assert set(sweep_settings(task.config.probe)) == {
        (rate, decay) for rate in (3e-4, 1e-3, 3e-3, 1e-2) for decay in (0.0, 1e-3, 1e-1)
    }
    unseen = accuracy(sweep, *features(0.2, seed=1))
    assert (unseen[-1] > 0.99).all()


def test_several_labels_a_clip(task):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 16)).astype(np.float32)
    label = (x[:, :3] > 0).astype(np.float32)
    several = dataclasses.replace(task.labels, kind="multi")
    task = dataclasses.replace(
        with_probe(task, epochs=40, batch_size=32, learning_rates="3e-2", weight_decays="0"),
        labels=several,
    )
    sweep = train_linear(task, x, label)
    logits = x @ sweep.kernel[-1, 0] + sweep.bias[-1, 0]
    assert ((logits > 0) == label).mean() > 0.95


def test_each_setting_trains_as_if_it_were_alone(task):
    x, label = features(2.0)
    several = with_probe(task, epochs=2, batch_size=64, learning_rates="1e-3,1e-2")
    both = train_linear(several, x, label)
    for number, (rate, decay) in enumerate(sweep_settings(several.config.probe)):
        alone = with_probe(
            task, epochs=2, batch_size=64, learning_rates=str(rate), weight_decays=str(decay)
        )
        found = train_linear(alone, x, label)
        np.testing.assert_allclose(found.kernel[:, 0], both.kernel[:, number], rtol=1e-4, atol=1e-7)


def test_features_may_have_any_place_and_size(task):
    """Standardisation is folded in: the same logits, whatever features are multiplied by."""
    task = with_probe(task, epochs=3, batch_size=64, learning_rates="1e-2", weight_decays="1e-1")
    x, label = features(0.5)
    x[:, 3] = 7.0  # a feature that never changes
    factor = 2.0 ** np.arange(-8, 8, dtype=np.float32)
    moved = x * factor + factor
    plain, other = train_linear(task, x, label), train_linear(task, moved, label)
    wanted, found = (
        np.einsum("nd,edc->enc", inputs, sweep.kernel[:, 0]) + sweep.bias[:, 0][:, None]
        for inputs, sweep in ((x, plain), (moved, other))
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    assert np.abs(wanted).max() > 0.1 and np.isfinite(plain.kernel).all()


def test_weight_decay_shrinks_and_a_seed_shuffles(task):
    x, label = features(2.0)
    sweep = train_linear(
        with_probe(
            task, epochs=20, batch_size=64, learning_rates="1e-2", weight_decays="0,1e-1,10"
        ),
        x,
        label,
    )
    sizes = np.abs(sweep.kernel[-1] * x.std(0)[None, :, None]).sum((1, 2))
    assert sizes[0] > sizes[1] > sizes[2]
    other = dataclasses.replace(task, config=dataclasses.replace(task.config, seed=5))
    one, two = (
        train_linear(with_probe(each, epochs=1, batch_size=64), x, label) for each in (task, other)
    )
    assert (one.kernel != two.kernel).any()


def test_the_first_of_the_best_layers_is_chosen(task):
    """Of two epochs and three settings, on two clips: class 1 is chosen where the bias is +1."""
    label = np.array([0, 1], np.int32)
    clips = Outputs(np.zeros(2), np.arange(2), label, np.array([[-1.0], [1.0]], np.float32), None)
    # What a kernel of 1 gets right: both clips; of 0, one of them; -1, none; NaN is no score.
    kernels = np.array([[0, np.nan, 0], [np.nan, 1, 1]], np.float32)

    def epochs(kernels):
        for row in kernels:
            kernel = np.stack([0 * row, row], -1)[:, None]  # [S, 1, 2]
            yield probe.Layers(kernel, np.zeros((len(row), 2), np.float32))

    found = choose(task, epochs(kernels), clips)
    assert (found.epoch, found.setting, found.score) == (2, 1, 1.0)
    assert found.kernel.tolist() == [[0, 1]] and found.bias.shape == (2,)
    found = choose(task, epochs(kernels[:, ::2] * 0), clips)
    assert (found.epoch, found.setting, found.score) == (1, 0, 0.5)
    found = choose(task, epochs(np.full((2, 2), np.nan)), clips)
    assert (found.epoch, found.setting) == (1, 0) and np.isnan(found.score)
    found = choose(task, epochs(kernels), None)
    assert (found.epoch, found.setting) == (2, 0)


@pytest.fixture
def computed(monkeypatch):
    """The titles of the passes over videos that the probe makes."""
    titles, real = [], EveryClip.__call__

    def counted(self, *arguments, title, **more):
        titles.append(title)
        return real(self, *arguments, title=title, **more)

    monkeypatch.setattr(EveryClip, "__call__", counted)
    return titles


def test_features_are_computed_once(task, tmp_path, computed):
    folder = make_dataset(tmp_path / "data")
    file = make_config(tmp_path / "config.py", folder)
    config = load_config(
        str(file),
        FinetuneConfig,
        ["--config.mode=linear", "--config.select_on=test", "--config.evaluation.protocol="],
    )
    with watched_places() as places:
        assert finetune(config, tmp_path / "run")
    assert computed == ["features, train", "features, selection"]
    assert Place(0, "computing features (train)", 3) in places  # 45 clips in batches of 16
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["selection"] == result["test"]
    # The layer that was chosen on features says the same in its model, from pixels.
    mesh = make_mesh(MeshConfig())
    every_clip = EveryClip(task.classifier.predict, task.clip, task.config.loader, mesh, 16)
    wanted = every_clip(
        restore_params(tmp_path / "run" / "best"), read_dataset(folder).split("test"), title=""
    )
    assert computed.pop() == ""
    found = predictions(tmp_path / "run")["score"]
    np.testing.assert_allclose(found, wanted.values, rtol=1e-4, atol=1e-6)

    assert finetune(config, tmp_path / "run")
    assert len(computed) == 2
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result

    (tmp_path / "run" / "features" / ".partial-abcdefgh").mkdir()  # as of a killed writer
    file = tmp_path / "run" / "features" / "train.npz"
    file.write_bytes(file.read_bytes()[:-100])
    say_packed(file.with_name("test.npz"), 9)
    assert finetune(config, tmp_path / "run")
    assert computed[2:] == ["features, train", "features, selection"]
    assert not (file.parent / ".partial-abcdefgh").exists()

    # Labels are kept beside the features: others, and they are read anew.
    lines = (folder / "videos.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    first["labels"][0] = -1
    (folder / "videos.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    with config.unlocked():
        config.probe.epochs -= 1  # of another length it is trained anew
    assert finetune(config, tmp_path / "run")
    assert read_config(tmp_path / "run").values["probe"]["epochs"] == config.probe.epochs
    assert computed[4:] == ["features, train"]
    with np.load(file) as kept:
        assert len(kept["values"]) == 5 * 9 - 1

    # Seeds share them where they are the same: of a backbone that is read.
    words = [f"--config.init={tmp_path / 'run'}", "--config.model=none", "--config.seeds=2"]
    words += ["--config.mode=linear", "--config.evaluation.protocol="]
    assert run(load_config(str(tmp_path / "config.py"), FinetuneConfig, words), tmp_path / "seeds")
    assert computed[5:] == ["features, train", "features, selection", "features, test"]
    one, two = (restore_params(tmp_path / "seeds" / f"seed{seed}" / "best") for seed in (1, 2))
    assert (one["head"]["kernel"] != two["head"]["kernel"]).any()

    # Where weights lie is nothing to a run; what they hold is.
    (tmp_path / "run").rename(tmp_path / "moved")
    words[0] = f"--config.init={tmp_path / 'moved'}"
    config = load_config(str(tmp_path / "config.py"), FinetuneConfig, words)
    assert run(config, tmp_path / "seeds") and len(computed) == 8
    once = ["--config.mode=linear", "--config.probe.epochs=1", "--config.seed=2"]
    other = load_config(str(tmp_path / "config.py"), FinetuneConfig, once)
    assert finetune(other, tmp_path / "other")
    words[0] = f"--config.init={tmp_path / 'other'}"
    words[2] = "--config.seed=2"
    config = load_config(str(tmp_path / "config.py"), FinetuneConfig, words)
    with pytest.raises(UserError, match="seed2: holds a probe of other weights"):
        finetune(config, tmp_path / "seeds" / "seed2")
