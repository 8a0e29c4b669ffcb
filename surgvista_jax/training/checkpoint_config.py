"""When is a run saved, where, and what is kept?"""

import dataclasses

from surgvista_jax.checks import check_whole


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When to save and what to keep.

    save_every: steps between checkpoints.
    max_to_keep: the newest so many are kept; with 1, a damaged checkpoint has nothing to fall back
        to.
    keep_every: checkpoints at multiples of it are kept for ever; 0 for none.
    digests: whether a digest of each array is saved, and checked when it is restored.
    local_every: steps between checkpoints on each machine's own disk; 0: none.
    local_folder: there, such as on an NVMe disk; it may differ between processes.
    """

    save_every: int = 1000
    max_to_keep: int = 3
    keep_every: int = 0
    digests: bool = True
    local_every: int = 0
    local_folder: str = ""

    def __post_init__(self) -> None:
        check_whole(self, 1, "save_every", "max_to_keep")
        check_whole(self, 0, "keep_every", "local_every")
        if bool(self.local_every) != bool(self.local_folder):
            raise ValueError(
                f"local_every={self.local_every}: goes together with local_folder: how often, and"
                f" where ({self.local_folder or 'none is said'})"
            )
        if self.keep_every % self.save_every:
            raise ValueError(
                f"keep_every={self.keep_every}: should be a multiple of"
                f" save_every={self.save_every}, or no checkpoint is ever kept by it"
            )
