"""What does the user tell XLA by the variable XLA_FLAGS?"""

import os

_TRUE = ("", "1", "t", "true", "y", "yes")  # "" is a flag without a value


def flags() -> str:
    """XLA_FLAGS as they are set, which may name a file of them."""
    return os.environ.get("XLA_FLAGS", "")


def file_of(flags: str) -> str | None:
    """The file that XLA reads its flags from, as it does where no dash leads; None without one."""
    is_file = not flags.lstrip().startswith("-") and os.path.isfile(flags.strip())
    return flags.strip() if is_file else None


def said_of(flag: str) -> str | None:
    """What the flags say of one, such as "--xla_gpu_autotune_level", the last word of it.

    None where they do not name it; "" where they name it without a value.
    """
    text = flags()
    if file := file_of(text):
        with open(file, encoding="utf-8", errors="replace") as opened:
            text = opened.read()
    words = [word.partition("=") for word in text.split()]
    return next((value for name, _, value in reversed(words) if name == flag), None)


def is_true(value: str) -> bool:
    """Whether XLA takes the value of a flag for true."""
    return value.lower() in _TRUE
