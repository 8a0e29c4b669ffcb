"""What a pretraining run says at its end of the data that it saw, and keeps in its folder."""

import dataclasses
from typing import Any

import jax

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.seen import Seen, seen_after
from surgvista_jax.data.batches.stretches import StretchIndex
from surgvista_jax.data.checking.once import Read
from surgvista_jax.ownership import Ownership
from surgvista_jax.tasks.beginning import say
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.writing import write_json

SEEN = "data_seen.json"


def tell_seen(
    owned: Ownership, config: PretrainConfig, read: Read, stretches: StretchIndex, steps: int
) -> None:
    """Writes `data_seen.json` and says it in a line, if this is process 0.

    Args:
        owned: of the run's folder.
        config: of the run.
        read: what it trained on.
        stretches: of the videos.
        steps: that were done, in all starts of the run together.

    Raises:
        UserError: the file cannot be written, or may not be replaced.
    """
    if jax.process_index() > 0:
        return
    rows = steps * (config.budget.batch_size // config.clip.slide)
    seen = seen_after(rows, read.dataset, stretches, config.data.mixture, config.seed)
    write_json(owned.folder / SEEN, _as_json(read, seen, steps), owned)
    say(f"seen: {'; '.join(_in_words(each, alone=len(seen) == 1) for each in seen)}")


def _as_json(read: Read, seen: list[Seen], steps: int) -> dict[str, Any]:
    return {
        "steps": steps,
        "datasets": [{**dataclasses.asdict(each), "epochs": each.epochs} for each in seen],
        "left_out": [each._asdict() for each in read.left_out],
        "not_told_apart": list(read.told),
    }


def _in_words(seen: Seen, alone: bool) -> str:
    share = "" if alone else f", {seen.share_seen:.1%} of all (asked {seen.share_asked:.1%})"
    return (
        f"{seen.name} {counted(seen.clips_seen, 'clip')} of {seen.videos_seen} of {seen.videos}"
        " videos,"
        f" {seen.epochs:.2f} epochs{share}"
    )
