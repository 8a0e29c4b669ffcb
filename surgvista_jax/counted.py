"""How many things there are, in words: "1 video", "2,000 videos"."""


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with the name of what is counted.

    Args:
        number: how many.
        thing: one of them, such as "unlabelled frame".
        things: several of them; "": an s more.
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
