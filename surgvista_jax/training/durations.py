"""How is a duration told?"""


def in_words(seconds: float) -> str:
    """Seconds as a person says them: "3.2 s", "4 min 10 s", "2 h 5 min", "3.5 days"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 72 else f"{hours / 24:.3g} days"
