"""In which keys may a run differ from the one that it goes on with?

They change how it is computed, watched or reported, or say where data and weights lie, whose
digests tell whether they are the same. It needs no JAX, so that a plan of many runs reads it at
once.
"""

_OF_ALL = ("loader", "mesh", "checkpoint", "loop", "tracking")
_COMPUTED = (
    *("compute.unroll", "compute.remat", "compute.deterministic", "compute.check_memory"),
    "compute.xla",
)
PRETRAINING = (
    *_OF_ALL,
    *_COMPUTED,
    *("figure", "data.folder", "data.allow_overlap", "init", "teacher.weights"),
)
FINETUNING = (
    *_OF_ALL,
    *_COMPUTED,
    *("data.folder", "init", "evaluation.batch_size", "evaluation.protocol"),
)
TEMPORAL = (
    *("data.folder", "data.features", "evaluation.protocol"),
    *("progress", "tracking", "compute"),
)
