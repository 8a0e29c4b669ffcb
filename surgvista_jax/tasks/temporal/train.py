"""The temporal program: features of whole videos in, an MS-TCN and its predictions out."""

import dataclasses
from collections.abc import Generator, Sequence
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jax.sharding import Mesh

from surgvista_jax.config import build
from surgvista_jax.data.batches.division import Division, divide
from surgvista_jax.data.batches.sequences import VideoSequence, pad_sequence, read_sequences
from surgvista_jax.data.dataset import label_fingerprint
from surgvista_jax.data.storage.feature_folder import open_features
from surgvista_jax.data.storage.features_header import FeaturesHeader
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.temporal import BACKBONE
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.tasks import free_keys
from surgvista_jax.tasks.beginning import say, tell_division, warn_of_data, warn_of_memory
from surgvista_jax.tasks.ending import tell_finetuned
from surgvista_jax.tasks.evaluation import Chooser
from surgvista_jax.tasks.outcome import (
    check_protocol,
    description,
    made_splits,
    outcome_files,
    write_outcome,
)
from surgvista_jax.tasks.selection import check_score
from surgvista_jax.tasks.temporal.config import TemporalConfig
from surgvista_jax.tasks.temporal.task import TemporalTask
from surgvista_jax.training import fits_devices, goodput, memory
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.longer import Length
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.names import Names
from surgvista_jax.training.optim import Optimizer
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh
from surgvista_jax.training.run import Data, Loaded, TrainConfig, train
from surgvista_jax.training.run_files import ownership
from surgvista_jax.training.rundir import claim
from surgvista_jax.training.sole import alone_in_workdir
from surgvista_jax.training.state import abstract_sharded, initial_state
from surgvista_jax.training.tracking import check_tracking, tracked, tracking_files
from surgvista_jax.training.watchdog import watched
from surgvista_jax.weights.provenance import as_json, of_dataset

KIND = "temporal"


@goodput.timed
@alone_in_workdir
def train_temporal(
    config_dict: ml_collections.ConfigDict,
    workdir: Path,
    overwrite: bool = False,
    one_of_several: bool = False,
) -> bool:
    """Trains, or continues to train, an MS-TCN; the best epoch's parameters predict the test split.

    The run folder gets what finetuning leaves in its own.

    Args:
        one_of_several: whether other seeds follow, and one table tells the scores of all.

    Returns:
        Whether the run came to its end; False if it was told to stop before.

    Raises:
        UserError: whatever of the configuration, the data, the folder or the machine does not fit.
    """
    config = build(TemporalConfig, config_dict)
    check_tracking(config.tracking)
    make_deterministic(config.compute.deterministic)
    if jax.process_count() > 1:
        raise UserError("config.mode=temporal: one device does it in minutes; start one process")
    for key in ("folder", "features"):
        if not getattr(config.data, key):
            raise UserError(f"config.data.{key} is empty: say --config.data.{key}=FOLDER")
    dataset, features = read_dataset(config.data.folder), open_features(config.data.features)
    division = divide(dataset, config.data, config.select_on)
    videos = read_sequences(features, division.train)
    selection, test = (
        None if part is None else read_sequences(features, part)
        for part in (division.selection, division.test)
    )
    check_score(config.evaluation.score, dataset.label_kind, len(dataset.classes))
    check_protocol(config.evaluation.protocol, dataset)
    task = TemporalTask(config, videos, len(dataset.classes), features.header.width)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    settings = _settings(config, len(videos))
    warn_of_memory(
        lambda: _check_longest(task, config, settings, videos, mesh),
        config.compute.check_memory,
        workdir,
    )
    owned = ownership(workdir, overwrite)
    files = [
        *outcome_files(division, config.evaluation.protocol),
        *tracking_files(config.tracking),
    ]
    length = Length(("epochs",), lambda values: values["epochs"] * len(videos))
    changed = claim(
        workdir, config_dict, TemporalConfig, KIND, free_keys.TEMPORAL, owned, files, length
    )
    if changed is not None:
        say(f"{workdir}: {changed.in_words(settings.optimizer, len(videos))}")
    tell_division(owned, division)
    warn_of_data(division.train, clip=None)
    about = _about(config, division, features.header)
    chooser = Chooser(
        config.evaluation.score,
        curve=f"selection_{config.evaluation.score}",
        selected_on=division.selected_on,
        predict=None if selection is None else lambda params: task.predict(params, selection),
        parameters=lambda state, frozen: state.params,
        about=about,
        rows="frames",
    )
    with (
        tracked(workdir, config.tracking, owned, config.evaluation.score) as tracking,
        jax.set_mesh(mesh),
        nn.logical_axis_rules(RULES),
    ):
        finished = train(
            task,
            _data(config, videos),
            settings,
            workdir,
            mesh=mesh,
            loaded=Loaded(),
            meta={
                "data": label_fingerprint(division.train),
                "selection": division.selection and label_fingerprint(division.selection),
                "features": _identity(features.header),
                "seed": config.seed,
            },
            hooks=lambda run: [chooser.hook(run, every=len(videos))],
        )
        if finished.step < settings.budget.num_steps(len(videos)):
            return False
        tracking.ended = True
        outputs = None
        if test is not None:
            with (
                watched(settings.loop, workdir, finished.step, "evaluating the test videos"),
                goodput.current().on("evaluate"),
            ):
                params = chooser.restore(abstract_sharded(task.init_trained, mesh))
                outputs = task.predict(params, test)
    write_outcome(owned, config, division, chooser.best, outputs, about, one_of_several)
    tell_finetuned(workdir)
    return True


def _check_longest(
    task: TemporalTask,
    config: TemporalConfig,
    settings: TrainConfig,
    videos: Sequence[VideoSequence],
    mesh: Mesh,
) -> str | None:
    """Of memory, what is to be said of the longest video of training."""
    available = fits_devices.device_memory(mesh)
    if available is None:
        return None
    longest = max(videos, key=lambda video: len(video.labels))
    padded = pad_sequence(longest, config.pad_to)

    def batch(clips: int) -> dict[str, jax.ShapeDtypeStruct]:
        shapes = {**padded, "step": np.zeros(1, np.int32)}
        return {
            name: jax.ShapeDtypeStruct((clips, *array.shape[1:]), array.dtype)
            for name, array in shapes.items()
        }

    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        state = abstract_sharded(
            lambda: initial_state(task.init_trained(), settings.optimizer.transform), mesh
        )
        need = memory.need_of(
            task.loss, state, {}, batch, settings.budget, mesh, ComputeConfig(dtype="float32")
        )
    return fits_devices.judge(
        need,
        available,
        f"config.data.features: {longest.video} of {len(longest.labels)} frames needs about"
        f" {fits_devices.in_gb(need.total)} on a device that has"
        f" {fits_devices.in_gb(available)}: take"
        " features at fewer frames a second, or a smaller config.model",
    )


def _about(config: TemporalConfig, division: Division, header: FeaturesHeader) -> dict:
    """What the trained model is, as JSON values."""
    return description(
        config,
        division.train,
        name=f"MS-TCN on {header.model}",
        model=dataclasses.asdict(config.model),
        features=_identity(header),
        **({BACKBONE: header.source} if header.source else {}),
        **made_splits(division),
        sources=as_json([of_dataset(division.train)]),
    )


def _identity(header: FeaturesHeader) -> dict:
    """What the features are, wherever their weights lie."""
    values = dataclasses.asdict(header)
    del values["source"]
    return values


def _settings(config: TemporalConfig, videos: int) -> TrainConfig:
    """A video a step; a line of metrics and a checkpoint an epoch; Adam at one rate."""
    rate = jnp.float32(config.learning_rate)
    return TrainConfig(
        BudgetConfig(batch_size=1, epochs=config.epochs),
        Optimizer(optax.chain(optax.scale_by_adam(), optax.identity()), lambda *_: lambda _: rate),
        CheckpointConfig(save_every=videos, max_to_keep=2),
        LoopConfig(log_every=videos, max_bad_steps=1, progress=config.progress),
        config.seed,
    )


def _data(config: TemporalConfig, videos: Sequence[VideoSequence]) -> Data:
    """Every video once an epoch, in an order drawn anew."""

    def batches(rows: np.ndarray, start_step: int, num_steps: int) -> Generator[dict, None, None]:
        for step in range(start_step, num_steps):
            epoch, place = divmod(step, len(videos))
            which = np.random.default_rng([config.seed, epoch]).permutation(len(videos))[place]
            padded = pad_sequence(videos[which], config.pad_to)
            yield {**padded, "step": np.array([step], np.int32), "index": np.array([which])}

    names = Names(clip=lambda index: videos[index].video)
    return Data(len(videos), batches, names, videos=len(videos))
