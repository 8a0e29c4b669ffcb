"""Does the time left count what is still to be done between steps, as the loop will do it?"""

import itertools

import pytest

from surgvista_jax.training.hooks import Hook, asides, due_hooks, name_of
from surgvista_jax.training.time_left import Aside, TimeLeft, seconds_left


@pytest.mark.parametrize(
    ("asides", "seconds"),
    [
        ([], 20),
        ([((), 3)], 20),  # nothing is known of it
        ([((7.0,), 3)], 41),
        ([((100.0, 5.0, 7.0), 2)], 32),  # the first one compiled
        ([((100.0, 5.0), 0), ((1.0,), 1)], 21),
    ],
)
def test_seconds_are_those_of_steps_and_of_what_is_to_come(asides, seconds):
    assert seconds_left(2.0, 10, asides) == seconds


def test_an_evaluation_that_was_long_does_not_make_steps_longer():
    clock = [0.0]
    left = TimeLeft(4, 100, {"e": Aside("evaluate", [50, 100])}, lambda: clock[0])
    with left.aside("e", 4):  # of a restored state, before the first step: no time of steps
        clock[0] += 11
    assert left.seconds() is None
    for _ in range(46):
        clock[0] += 2
        left.step()
    assert left.seconds() == 50 * 2 + 2 * 11
    with left.aside("e", 50):
        clock[0] += 30
    assert left.seconds() == 50 * 2 + 30
    assert left.measured == (45, 90)


@pytest.mark.parametrize("last", [1, 20, 23])
@pytest.mark.parametrize("first", [0, 6, 7])
def test_what_is_planned_is_what_the_loop_does(first, last):
    """With `due_hooks`, and the loop's rule for saves; 23 steps make the run."""
    hooks = [Hook(every, print, save) for every, save in itertools.product((0, 1, 6, 40), (0, 1))]
    done: dict[str, list[int]] = {"save": []}
    for step in range(first + 1, last + 1):
        due = due_hooks(hooks, step, 23, restored=False)
        if step % 9 == 0 or step == last or any(hook.save_before for hook in due):
            done["save"].append(step)
        for hook in due:
            done.setdefault(name_of(hooks, hook), []).append(step)
    planned = asides(hooks, 9, first, last, 23)
    assert {name: list(aside.steps) for name, aside in planned.items() if aside.steps} == {
        name: steps for name, steps in done.items() if steps
    }
