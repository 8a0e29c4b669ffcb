"""What programs put before the names of a model's parameters when they wrap it."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

# Of torch.compile, FSDP, activation checkpoints, Lightning's strategies: anywhere in a name, for
# parts of a model are wrapped too, and never the name of a part.
_WRAPPERS = re.compile(
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
_PARALLEL = "module."  # of torch's parallel training and averages: before all names
_MOST = 4  # prefixes, one after the other


def unwrapped(name: str) -> str:
    """The name without the wrappers of torch.compile and the like."""
    return _WRAPPERS.sub("", name)


def prefixes_of(names: Collection[str], usual: Sequence[str], any_word: bool = False) -> list[str]:
    """What may stand before the names of a model, the shortest first; "" is one of them.

    Args:
        names: those of a file, unwrapped.
        usual: prefixes that a family is known to put there.
        any_word: whether any word may be one that stands before more than half of the names.
    """
    found, waiting = {"": 0}, [""]
    while waiting:
        prefix = waiting.pop(0)
        if found[prefix] == _MOST:
            continue
        inside = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        first = Counter(name.partition(".")[0] + "." for name in inside if "." in name)
        most = [word for word, count in first.items() if any_word and 2 * count > len(names)]
        for word in dict.fromkeys((_PARALLEL, *usual, *most)):
            if prefix + word not in found and any(name.startswith(word) for name in inside):
                found[prefix + word] = found[prefix] + 1
                waiting.append(prefix + word)
    return list(found)


def stripped(name: str, rest: str) -> str:
    """What was taken from a name of a file to leave `rest`, for people."""
    if name.endswith(rest):
        return name[: len(name) - len(rest)]
    return "".join(dict.fromkeys(_WRAPPERS.findall(name)))
