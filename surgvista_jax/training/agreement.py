"""Do the processes of a run run the same thing?  Facts of each, and where two of them differ."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import surgvista_jax

# What computes a run, by the names of the package index. Of two names either brings the module.
_PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "av"),
    *("opencv-python", "opencv-python-headless"),
)
_SHOWN = 8  # differing facts that a message names
_LONGEST = 80  # characters of a value in a message


def facts_of_code() -> dict[str, str]:
    """What computes a run: the versions of Python and the packages, a digest of our sources."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    digest = hashlib.sha256()
    root = Path(surgvista_jax.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    version = surgvista_jax.__version__
    return {**found, "surgvista_jax": f"{version}, sources {digest.hexdigest()[:12]}"}


def facts_of_config(values: Mapping[str, Any], free_keys: Sequence[str]) -> dict[str, str]:
    """A configuration as "config.a.b" -> value, without what may differ between processes.

    Args:
        values: nested mappings.
        free_keys: keys, or groups of them, that are left out.
    """
    return {
        f"config.{key}": repr(value)
        for key, value in flat(values).items()
        if not belongs(key, free_keys)
    }


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Where `theirs` differs from `ours`, for a message: "key (their value, not ours)"; or ""."""
    names = sorted(
        name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
    )
    shown = [
        f"{name} ({_short(theirs.get(name))}, not {_short(ours.get(name))})"
        for name in names[:_SHOWN]
    ]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join(shown + more)


def _short(value: str | None) -> str:
    if value is None:
        return "missing"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: {"a": {"b": 1}} -> {"a.b": 1}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def belongs(key: str, groups: Sequence[str]) -> bool:
    """Whether a key of a flat configuration is one of some keys, or in one of some groups."""
    return any(key == group or key.startswith(f"{group}.") for group in groups)
