"""Which model learns own labels, and how much of it is trained?"""

from collections.abc import Iterator

import ml_collections

from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.tasks.choosing.choice import Choice
from surgvista_jax.tasks.choosing.facts import DataFacts, DeviceFacts
from surgvista_jax.tasks.choosing.fitting import Fitting, on_processor
from surgvista_jax.tasks.choosing.rules import FORWARD
from surgvista_jax.training.durations import in_words

HOURS_OF_PROCESSOR = 2.0
BATCH_OF_PROCESSOR = 32  # what small models take
_FEWEST_AT_A_TIME = 4  # clips on a device, below which a backbone is frozen
_FEW_PATIENTS = 4  # to train on, below which a large backbone learns them by heart


def from_scratch(processor: bool) -> Iterator[Choice]:
    """A backbone of random parameters."""
    yield Choice("init", RANDOM, "no weights are named; with --config.init=WEIGHTS it learns more")
    sizes = {"width": 96, "depth": 4, "heads": 3} if processor else SIZES["small"]
    why = "a processor trains it" if processor else "from random parameters, larger learn no better"
    encoder = {
        "transformer": {**sizes, "attention_bias": "qv"},
        "patch": 8 if processor else 16,
        "norm": False,
    }
    yield Choice("model", {"encoder": encoder}, why)
    if processor:
        yield Choice("optim.learning_rate", 1.5e-3, "small models bear high rates")
        yield Choice("optim.reference_batch", BATCH_OF_PROCESSOR, "the batch that the rate is for")
    yield Choice("optim.layer_decay", 1.0, "nothing learnt before has to be kept")
    yield Choice("drop_path", 0.0 if processor else 0.1, "small models need none, others a little")


def image_clip(config: ml_collections.ConfigDict) -> Choice:
    """What image models see, whose tokens are single frames'."""
    if config.init == RANDOM:
        return Choice("image_clip", None, "the model sees clips")
    clip = config.clip.to_dict()
    half = {"num_frames": max(1, clip["num_frames"] // 2), "stride": 2 * clip["stride"]}
    return Choice("image_clip", {**clip, **half}, "half the frames are as many tokens as a clip's")


def mode(
    config: ml_collections.ConfigDict, data: DataFacts, devices: DeviceFacts, fitting: Fitting
) -> Iterator[Choice]:
    """How much of the backbone is trained."""
    if devices.platform == "cpu":
        yield Choice("compute.dtype", "float32", "processors are no faster with less")
        yield Choice("compute.unroll", False, "a loop over blocks compiles sooner")
    if config.init == RANDOM:
        yield Choice("mode", "full", "random parameters must be trained")
        return
    patients = data.patients
    seconds = on_processor(fitting.gflop, 1000 * BATCH_OF_PROCESSOR, devices)
    if devices.platform == "cpu" and seconds > HOURS_OF_PROCESSOR * 3600:
        clips = data.clips(config.clip.sampling) / FORWARD
        lasts = in_words(on_processor(fitting.gflop, clips, devices))
        why = f"a processor would train the backbone for days; its features take about {lasts}"
        yield Choice("mode", "linear", why)
    elif patients < _FEW_PATIENTS:
        yield Choice("mode", "linear", f"{patients} patients would be learnt by heart")
    elif fitting.clips is not None and fitting.clips < _FEWEST_AT_A_TIME:
        yield Choice("mode", "lora", f"a device holds {fitting.clips} clips at a time otherwise")
    else:
        yield Choice("mode", "full", "as published")


def probe(config: ml_collections.ConfigDict) -> Iterator[Choice]:
    """What a linear probe tries."""
    if config.select_on == "last":
        why = "one value, as no videos are left to choose among several by"
        yield Choice("probe.learning_rates", "3e-3", why)
        yield Choice("probe.weight_decays", "1e-3", why)
