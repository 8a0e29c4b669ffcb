"""How a user's mistake is reported: one exception, whose text is one clear line."""


class UserError(Exception):
    """A mistake that the user can correct.

    The text is one line that names the file, the line or the key, and says what would be right. The
    command line prints it without a traceback and exits with code 1.
    """
