"""Which of a command's videos are whose, where several machines share the work?

The division follows from the sizes and their order alone, so that no machine has to ask another.
"""

import heapq
from collections.abc import Sequence


def divide(sizes: Sequence[int], of: int) -> list[list[int]]:
    """Divides items among parts of about the same size in all.

    The largest comes first, and each goes to the part that has least so far, of equal ones to the
    first. So a part is larger than the mean by less than its smallest item, and none is empty
    unless there are fewer items than parts.

    Args:
        sizes: of the items, in any unit; 0 counts as 1.
        of: how many parts, at least 1.

    Returns:
        For each part the numbers of its items, ascending.
    """
    parts: list[list[int]] = [[] for _ in range(of)]
    loads = [(0, number) for number in range(of)]
    for item in sorted(range(len(sizes)), key=lambda item: -sizes[item]):  # stable
        load, number = heapq.heappop(loads)
        parts[number].append(item)
        heapq.heappush(loads, (load + max(sizes[item], 1), number))
    return [sorted(part) for part in parts]
