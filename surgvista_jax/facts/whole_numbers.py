"""Which whole number is a text of somebody else's file or command line?"""

import re

# What int64 holds, however it is spelled.  Python's `int` itself raises ValueError beyond some
# thousand digits (docs.python.org, "Integer string conversion length limitation").
_WHOLE = re.compile(r"([-+]?)0*(\d{1,18})")


def whole(text: str) -> int | None:
    """The whole number that a text is: "7", "-1", " 007 "; None for any other text.

    Also None for a number of more than 18 digits, which nothing here counts up to.
    """
    found = _WHOLE.fullmatch(text.strip())
    return int(found[1] + found[2]) if found else None
