"""Where does what can be made or fetched again lie on this machine?"""

import os
from pathlib import Path


def user_cache() -> Path:
    """Where a user's programs keep what they can make again: $XDG_CACHE_HOME, or ~/.cache.

    Raises:
        RuntimeError: the user has no home.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    root = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return root / "surgvista_jax"
