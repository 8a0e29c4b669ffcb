"""One call of a function in a fresh process, which leaves nothing behind in this one.

Neither memory that its libraries keep, nor a device that it has started, nor a crash.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from surgvista_jax.data.workers import Crash, run_each
from surgvista_jax.errors import UserError, end_in_words

T = TypeVar("T")


def in_own_process(
    what: str, function: Callable[..., T], *arguments: object, advice: str = ""
) -> T:
    """What a function returns in a fresh process, which dies with this one.

    Args:
        what: the work, as the subject of "crashed".
        function: importable by name.
        advice: what to do after a crash.

    Raises:
        UserError: the process died; where it was when it crashed stands on standard error.
        Exception: what the function raises.
    """
    ((_, result),) = run_each(_call, [(function, arguments)], 1, aloud=True)
    if isinstance(result, Crash):
        raise UserError(f"{what} {end_in_words(result.exit_code)}{advice and f'; {advice}'}")
    return result


def _call(job: tuple[Callable[..., T], tuple], report: Callable[[Any], None]) -> T:
    function, arguments = job
    return function(*arguments)
