"""Does a function in its own process give its value, its exception and, of a crash, its stack?"""

import operator
import os

import pytest

from surgvista_jax.data.own_process import in_own_process
from surgvista_jax.errors import UserError


def refuse(what):
    raise UserError(f"{what}: is wrong")


def test_what_a_function_returns_or_raises_reaches_the_caller():
    assert in_own_process("adding", operator.add, 1, 2) == 3
    assert in_own_process("asking", os.getpid) != os.getpid()
    with pytest.raises(UserError, match="^x: is wrong$"):
        in_own_process("refusing", refuse, "x")


def test_a_crash_is_one_line_below_its_stack(capfd):
    with pytest.raises(UserError, match=r"^adding crashed \(SIGABRT\); try again$"):
        in_own_process("adding", os.abort, advice="try again")
    said = capfd.readouterr().err
    assert "Fatal Python error: Aborted" in said and "own_process.py" in said
