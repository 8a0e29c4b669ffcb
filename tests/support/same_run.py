"""Is a pretraining run the one that other devices computed, but for the order of sums?"""

import jax
import numpy as np

from surgvista_jax.tasks.pretraining.seen import SEEN
from surgvista_jax.training.checkpoint import restore_params
from tests.support.tiny_run import lines


def assert_same_run(workdir, expected):
    """Sums come in another order, so the last digits differ; eight updates let them grow."""
    seen, expected_seen = ((each / SEEN).read_text() for each in (workdir, expected))
    assert seen == expected_seen
    ours, theirs = lines(workdir), lines(expected)
    assert ours.keys() == theirs.keys()
    for step, row in theirs.items():
        for key in ("loss", "pixel_loss", "feature_loss", "grad_norm", "learning_rate"):
            if key != "feature_loss" or key in row:  # without a teacher
                np.testing.assert_allclose(ours[step][key], row[key], rtol=2e-4, err_msg=key)
    params, reference = restore_params(workdir), restore_params(expected)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3 * max(np.abs(b).max(), 1e-2)),
        params,
        reference,
    )
