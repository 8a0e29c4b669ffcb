"""Small files of weights that say what they see and what their classes are, as ours do."""

import json
from pathlib import Path

from safetensors.numpy import save_file

from surgvista_jax.weights import tables
from tests.support.weight_files import HEADS, random_arrays, tiny_config

CLASSES = ("Preparation", "Dissection", "Clipping", "Retrieval", "Closure")
CLIP = {"num_frames": 4, "stride": 2, "size": 8}


def write_described(name: str, path: Path) -> Path:
    """A model of a table's family in `.safetensors`, which needs no further word to be loaded."""
    table = tables.find(name)
    about = {"clip": CLIP, "fps": 5.0}
    if table.kind == "classifier":
        about |= {"classes": CLASSES, "task": "phase", "label_kind": "single"}
    metadata = {"table": name, "heads": json.dumps(HEADS), "about": json.dumps(about)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(random_arrays(table.entries(tiny_config(table))), path, metadata=metadata)
    return path
