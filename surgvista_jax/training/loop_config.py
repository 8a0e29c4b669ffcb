"""How is a run watched, and when does it give up?"""

import dataclasses

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.training.progress import MODES
from surgvista_jax.training.standstill import ACTIONS
from surgvista_jax.training.unreadable import UnreadableLimit


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How a run is watched and when it gives up.

    log_every: steps between lines of metrics.
    stop_after: the step to stop at, with a checkpoint, leaving schedules as they are; 0: the end.
    max_bad_steps: so many steps in a row without a finite loss and gradient end the run.
    max_unreadable_share: a larger share of unreadable frames ends the run: of the newest
        `min_frames` ones in training, of all in an evaluation. So does a batch without a readable
        frame.
    min_frames: frames to have seen before that share is judged.
    profile: steps of each start that are traced; 0 for none.
    patience: seconds without a step ended, once the first has, after which the run stands still; or
        three times the longest step so far, if that is longer. A batch of an evaluation counts as a
        step, also at the end of a run. 0: never. More than `loader.patience`, whose own line says
        more.
    on_standstill: "end" ends all processes with status 75, so that they may be started again;
        "warn" waits on.
    progress: "auto" (a bar on a terminal, else lines), "bar", "lines" or "none".
    """

    log_every: int = 20
    stop_after: int = 0
    max_bad_steps: int = 10
    max_unreadable_share: float = 0.01
    min_frames: int = 1000
    profile: int = 0
    patience: int = 2400
    on_standstill: str = "end"
    progress: str = "auto"

    def __post_init__(self) -> None:
        check_whole(self, 1, "log_every", "max_bad_steps")
        check_whole(self, 0, "stop_after", "min_frames", "profile", "patience")
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "max_unreadable_share")
        check_one_of(self, MODES, "progress")
        check_one_of(self, ACTIONS, "on_standstill")

    @property
    def unreadable(self) -> UnreadableLimit:
        """How many frames may be unreadable."""
        return UnreadableLimit(self.max_unreadable_share, self.min_frames)
