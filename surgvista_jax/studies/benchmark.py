"""The 13 datasets of the published comparison, each with its configuration."""

from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.studies.cells import Data

INTERNAL, EXTERNAL = "internal", "external"
# Dataset folder -> task, configuration, and whether videos of it, or of its centre and operation,
# are among those that the published student was pretrained on.
DATASETS = {
    "cholec80": ("phase", "cholec80", INTERNAL),
    "m2cai16": ("phase", "m2cai16", INTERNAL),
    "autolaparo": ("phase", "autolaparo", INTERNAL),
    "cholect50": ("triplet", "cholect50", INTERNAL),
    "cholec80-cvs": ("cvs", "cholec80_cvs", INTERNAL),
    "prostatd": ("triplet", "prostatd", INTERNAL),
    "endoscapes-count": ("cvs", "endoscapes", EXTERNAL),
    "pmlr50": ("phase", "pmlr50", EXTERNAL),
    "esd57": ("phase", "esd57", EXTERNAL),
    "cataracts": ("phase", "cataracts", EXTERNAL),
    "cataract101": ("phase", "cataract101", EXTERNAL),
    "cataract21": ("phase", "cataract21", EXTERNAL),
    "surgicalactions160": ("action", "surgicalactions160", EXTERNAL),
}
_WITH_MSTCN = ("cholec80", "m2cai16", "autolaparo", "cataract21", "cataract101", "cataracts")


def dataset(name: str, root: str) -> Data:
    """A dataset of the benchmark.

    Args:
        name: of its folder.
        root: below which the folders lie.

    Raises:
        UserError: it is none of them.
    """
    if name not in DATASETS:
        raise UserError(f"config.datasets={name!r}: should be of {', '.join(DATASETS)}")
    task, config, group = DATASETS[name]
    recipe = name if name in _WITH_MSTCN else "cholec80"
    return Data(
        name=name,
        task=task,
        config=f"configs/finetune/{config}.py",
        folder=str(Path(root) / name),
        group=group,
        temporal=f"configs/finetune/mstcn.py:{recipe}",
    )
