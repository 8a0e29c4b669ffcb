"""What does a protocol make of one run's predictions?"""

from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.evaluation import Evaluation
from surgvista_jax.reports.scoring_labels import evaluate_clips, evaluate_phases
from surgvista_jax.reports.scoring_several import evaluate_criteria, evaluate_triplets

_BY_TASK = {
    "phase": evaluate_phases,
    "single": evaluate_clips,
    "triplet": evaluate_triplets,
    "criteria": evaluate_criteria,
}


def evaluate_run(predictions: Predictions, protocol: Protocol) -> Evaluation:
    """Scores predictions that reading has fitted to the protocol."""
    return _BY_TASK[protocol.task](predictions, protocol)
