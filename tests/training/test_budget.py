"""How long a run is: whole batches, whole updates."""

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.budget import BudgetConfig


@pytest.mark.parametrize(
    ("epochs", "clips", "steps"),
    [
        (1, 64, 8),
        (2, 71, 16),
        (1, 5, 1),
        (0.5, 64, 4),
        (0.3, 64, 3),
        (0.01, 64, 1),
        (1.1, 800, 110),
    ],
)
def test_an_epoch_is_the_whole_batches_in_it_and_a_run_whole_updates(epochs, clips, steps):
    assert BudgetConfig(batch_size=8, epochs=epochs).num_steps(clips) == steps


def test_steps_are_taken_as_they_are():
    budget = BudgetConfig(batch_size=8, steps=11)
    assert budget.num_steps(64) == 11 and budget.steps_per_epoch(64) == 8


def test_more_updates_than_can_be_counted_are_refused():
    with pytest.raises(UserError, match="config.budget.epochs=2e.09: are 16,000,000,000 updates"):
        BudgetConfig(batch_size=8, epochs=2e9).num_steps(64)
