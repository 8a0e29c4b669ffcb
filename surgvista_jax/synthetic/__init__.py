"""Made-up surgery: small videos with labels for all tasks."""

from surgvista_jax.synthetic.camera import in_view, project
from surgvista_jax.synthetic.operation import (
    ACTIONS,
    CVS_CRITERIA,
    INSTRUMENTS,
    PHASES,
    TARGETS,
    TRIPLET_COMPONENTS,
    TRIPLETS,
    VERBS,
    Anatomy,
    Operation,
)
from surgvista_jax.synthetic.plan import plan_action, plan_operation
from surgvista_jax.synthetic.render import render
from surgvista_jax.synthetic.write import (
    COLUMNS,
    TOOL_COLUMNS,
    label_rows,
    write_action_clips,
    write_videos,
)

__all__ = [
    "ACTIONS",
    "COLUMNS",
    "CVS_CRITERIA",
    "INSTRUMENTS",
    "PHASES",
    "TARGETS",
    "TOOL_COLUMNS",
    "TRIPLETS",
    "TRIPLET_COMPONENTS",
    "VERBS",
    "Anatomy",
    "Operation",
    "in_view",
    "label_rows",
    "plan_action",
    "plan_operation",
    "project",
    "render",
    "write_action_clips",
    "write_videos",
]
