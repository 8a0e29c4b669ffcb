"""The numbers by which a run on labels is judged, while it trains and at its end."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """How predictions are scored.

    Attributes:
        score: what decides which parameters are the best (see `metrics.selecting.SCORES`).
        protocol: how the test predictions are reported (`surgvista evaluate --list`); "" for no
            report beside the predictions.
    """

    score: str = "accuracy"
    protocol: str = ""
