"""Scoring of one run's predictions by a protocol.

Each task of `facts.tasks` has a module `scoring_NAME` here, whose `evaluate` scores its protocols.
"""

import importlib

from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.evaluation import Evaluation


def evaluate_run(predictions: Predictions, protocol: Protocol) -> Evaluation:
    """Scores predictions that reading has fitted to the protocol."""
    module = importlib.import_module(f"surgvista_jax.reports.scoring_{protocol.task}")
    return module.evaluate(predictions, protocol)
