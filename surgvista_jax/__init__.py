"""SurgVISTA in JAX: a masked-video foundation model for surgery, from raw videos to reports.

`load(WEIGHTS)` gives a trained model, `StreamingPredictor(WEIGHTS)` one that runs along with a
video; `datasets` and `metrics` are its readers and scores. They are imported when they are first
asked for: importing the package alone imports neither JAX nor NumPy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surgvista_jax import metrics
    from surgvista_jax.data import datasets
    from surgvista_jax.inference.load import load
    from surgvista_jax.inference.model import Model
    from surgvista_jax.inference.streaming import StreamingPredictor

__all__ = ["Model", "StreamingPredictor", "datasets", "load", "metrics"]
__version__ = "0.1.0"

_PLACES = {
    "Model": "surgvista_jax.inference.model",
    "StreamingPredictor": "surgvista_jax.inference.streaming",
    "datasets": "surgvista_jax.data.datasets",
    "load": "surgvista_jax.inference.load",
    "metrics": "surgvista_jax.metrics",
}


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported now (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_PLACES[name])
    found = globals()[name] = getattr(module, name, module)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
