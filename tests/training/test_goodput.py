"""Where does a run's time go? All of it is counted once, also over several starts."""

import json

import numpy as np
import pytest

from surgvista_jax.training import goodput
from surgvista_jax.training.goodput import PARTS, Clock, is_state, is_time
from surgvista_jax.training.hooks import Hook
from tests.support.toy_run import STEPS, Batches, train


class Hands:
    """A clock that is moved by hand."""

    def __init__(self):
        self.time = 100.0

    def __call__(self):
        return self.time


@pytest.fixture
def hands():
    return Hands()


def spent(clock):
    return {part: seconds for part, seconds in clock.seconds().items() if seconds}


def test_every_second_is_in_one_part_also_where_blocks_are_nested_and_end_by_an_error(hands):
    clock = Clock(began=90.0, now=hands)
    hands.time += 1
    clock.switch("train")
    with pytest.raises(KeyError), clock.on("evaluate"):
        hands.time += 2
        with clock.on("save"):
            hands.time += 3
        hands.time += 4
        raise KeyError
    hands.time += 5
    clock.move(1.5, "data")
    expected = {"start": 11, "train": 3.5, "evaluate": 6, "save": 3, "data": 1.5}
    assert spent(clock) == expected
    line = clock.line()
    assert set(line) == {*(f"seconds_{part}" for part in PARTS), "goodput", "starts"}
    assert line["goodput"] == pytest.approx(3.5 / 25) and all(map(is_time, line))


def test_starts_add_up_and_what_was_lost_between_them_is_counted(hands):
    first = Clock(now=hands)
    first.switch("train")
    hands.time += 10
    state = json.loads(json.dumps(first.state()))
    assert is_state(state) and not is_state({**state, "starts": "1"}) and not is_state([])
    hands.time += 4
    killed_at = first.line()
    second = Clock(began=hands.time, now=hands)
    hands.time += 2
    second.go_on(state, killed_at)
    assert spent(second) == {"start": 2, "train": 10, "repeat": 4}
    assert second.state()["starts"] == 2 and "in 2 starts" in second.summary()


def test_starts_that_were_killed_before_they_saved_are_counted_up_to_their_last_line(hands):
    lines = [None]
    for _ in range(2):
        clock = Clock(now=hands)
        clock.go_on(None, lines[-1])
        clock.switch("train")
        hands.time += 7
        lines.append(json.loads(json.dumps(clock.line())))
    state = clock.state()  # of a checkpoint behind which two more starts are killed
    for _ in range(2):
        clock = Clock(now=hands)
        clock.go_on(state, lines[-1])
        hands.time += 1
        lines.append(clock.line())
    assert spent(clock) == {"start": 1, "train": 7, "repeat": 7 + 1}
    assert [line["starts"] for line in lines[1:]] == [1, 2, 3, 4]
    unnumbered = {name: value for name, value in lines[1].items() if name != "starts"}
    clock = Clock(now=hands)
    clock.go_on(None, unnumbered)
    assert spent(clock) == {"repeat": 7} and clock.state()["starts"] == 2


def test_a_run_that_an_earlier_version_began_counts_from_now_on(hands):
    clock = Clock(now=hands)
    clock.go_on(None, {"step": 5, "loss": 1.0})
    hands.time += 1
    assert spent(clock) == {"start": 1}
    clock.go_on(clock.state(), {"step": 5, "loss": 1.0})  # a line without times
    assert spent(clock) == {"start": 2}


def test_the_summary_is_one_line_that_names_what_was_lost(hands):
    clock = Clock(now=hands)
    clock.switch("train")
    hands.time += 4020
    clock.switch("save")
    hands.time += 65
    assert (
        clock.summary() == "time: 1 h 8 min, of which training 98.4% (1 h 7 min); saving 1 min 5 s"
    )


def test_a_program_is_timed_from_where_it_began_and_tells_it_once_it_trained(capsys):
    @goodput.timed
    def program(trains):
        goodput.current().switch("train" if trains else "start")
        return goodput.current()

    goodput.began(goodput.time.perf_counter() - 50)
    assert program(False).seconds()["start"] > 50
    assert not capsys.readouterr().err
    clock = program(True)  # the next run of the same process
    assert clock.seconds()["start"] < 25
    assert capsys.readouterr().err.startswith("time: ") and goodput.current() is not clock


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_each_line_of_a_run_tells_where_its_time_went(tmp_path):
    """The parts that this run has, and no step is dispatched as if it were compiled anew."""
    waits = {at: lambda: goodput.time.sleep(0.2) for at in (3, 12)}  # a busy step hides a part
    hooks = [
        Hook(10, lambda *_: goodput.time.sleep(0.03)),
        Hook(10, lambda *_: goodput.time.sleep(0.02), part="figure"),
    ]
    train(tmp_path, log_every=5, make_batches=lambda s: Batches(s, at=waits), hooks=hooks)
    first, *_, last = rows(tmp_path)
    assert first["seconds_compile"] > 0 and last["seconds_compile"] == first["seconds_compile"]
    assert last["seconds_evaluate"] >= 0.03 > last["seconds_figure"] >= 0.02
    assert last["seconds_data"] > 0 and last["seconds_save"] > 0 and not last["seconds_repeat"]
    totals = [sum(row[f"seconds_{part}"] for part in PARTS) for row in rows(tmp_path)]
    assert np.all(np.diff(totals) > 0)
    assert last["goodput"] == pytest.approx(last["seconds_train"] / totals[-1])


def test_batches_of_alternating_lengths_are_compiled_once_each(tmp_path):
    def longer(step, x):
        return np.concatenate([x, x]) if step % 2 else x

    train(tmp_path, log_every=5, make_batches=lambda start: Batches(start, x=longer))
    first, *_, last = rows(tmp_path)
    assert first["seconds_compile"] > 0 and last["seconds_compile"] == first["seconds_compile"]


def test_a_killed_run_counts_what_it_does_twice(tmp_path):
    class Crash(BaseException):  # as a kill, it leaves no time to save
        pass

    def slow():
        goodput.time.sleep(0.3)

    def crash():
        raise Crash

    with pytest.raises(Crash):
        train(
            tmp_path,
            save_every=7,
            log_every=1,
            make_batches=lambda s: Batches(s, at={9: slow, 12: crash}),
        )
    saved = 7
    before = {row["step"]: row for row in rows(tmp_path)}
    assert max(before) > saved
    lost = sum(before[max(before)][f"seconds_{part}"] for part in PARTS)
    lost -= sum(before[saved + 1][f"seconds_{part}"] for part in PARTS)
    train(tmp_path, save_every=7, log_every=1)
    after = {row["step"]: row for row in rows(tmp_path)}
    assert set(after) == set(range(1, STEPS + 1))
    assert after[saved + 1]["seconds_repeat"] >= lost > 0.2
    assert after[saved + 1]["seconds_start"] > before[max(before)]["seconds_start"]
