"""Which packages are installed, and which does ours need?"""

import importlib.metadata
import platform
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from surgvista_jax import __version__
from surgvista_jax.checkup.facts import Installed, Package

OURS = "surgvista_jax"
# All install the module cv2.
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
_BUILDS = ("jaxlib", "jax-cuda", "jax-rocm", "libtpu", "nvidia-cudnn")


class _Needed(NamedTuple):
    name: str
    versions: str
    extras: frozenset[str]


def read_installed() -> Installed:
    """Asks what Python's installers have written down."""
    versions: dict[str, str] = {}
    for name, version in _all_versions():
        versions.setdefault(name, version)  # what Python finds first
    mine = _metadata(OURS)
    known = Installed(
        version=__version__,
        known=mine is not None,
        python=platform.python_version(),
        opencv={name: versions[name] for name in OPENCV if name in versions},
        builds={n: v for n, v in sorted(versions.items()) if n.startswith(_BUILDS)},
    )
    if mine is None:
        return known
    pythons = mine["Requires-Python"] or ""
    return Installed(
        version=known.version,
        python=known.python,
        pythons=pythons,
        python_fits=_is_of(known.python, pythons),
        needed=tuple(_package(needed, versions) for needed in _needs(OURS, "")),
        extras={
            extra: tuple(sorted(_lacking(OURS, extra, versions, frozenset())))
            for extra in sorted(mine.get_all("Provides-Extra") or ())
        },
        opencv=known.opencv,
        builds=known.builds,
    )


def _package(needed: _Needed, versions: Mapping[str, str]) -> Package:
    version = versions.get(needed.name)
    fits = version is not None and _is_of(version, needed.versions)
    return Package(needed.name, needed.versions, version, fits)


def _lacking(
    name: str, extra: str, versions: Mapping[str, str], seen: frozenset[tuple[str, str]]
) -> set[str]:
    """The packages that an extra of a package asks for, and that are not there."""
    if (name, extra) in seen:
        return set()
    lacking = set()
    for needed in _needs(name, extra):
        version = versions.get(needed.name)
        if version is None or not _is_of(version, needed.versions):
            lacking.add(needed.name)
            continue
        for inner in needed.extras:
            lacking |= _lacking(needed.name, inner, versions, seen | {(name, extra)})
    return lacking


def _needs(name: str, extra: str) -> Iterator[_Needed]:
    """What a package asks for here: with an extra, what it asks for more."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.utils import canonicalize_name
    except ImportError:  # ours needs it too
        if not extra:
            yield _Needed("packaging", "", frozenset())
        return
    metadata = _metadata(name)
    for line in (metadata and metadata.get_all("Requires-Dist")) or ():
        try:
            read = Requirement(line)
        except InvalidRequirement:
            continue
        always, asked = (
            read.marker is None or read.marker.evaluate({"extra": name}) for name in ("", extra)
        )
        if (asked and not always) if extra else always:
            yield _Needed(canonicalize_name(read.name), str(read.specifier), frozenset(read.extras))


def _is_of(version: str, wanted: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return True
    return SpecifierSet(wanted).contains(version, prereleases=True)


def _metadata(name: str) -> importlib.metadata.PackageMetadata | None:
    try:
        return importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _all_versions() -> Iterator[tuple[str, str]]:
    for distribution in importlib.metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.version
        except Exception:  # what an installer left half removed
            continue
        if name and version:
            yield re.sub(r"[-_.]+", "-", name).lower(), version
