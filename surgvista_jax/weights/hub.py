"""Files of the Hugging Face Hub: fetched, or found in the local cache where there is no network."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.folders import usual_file
from surgvista_jax.weights.files.read import SUFFIXES
from surgvista_jax.weights.files.shards import is_index, shards_of

SCHEME = "hf://"
FORM = "hf://OWNER/NAME[@REVISION][:FILE]"
_PART = r"[\w][\w.-]*"
_ADDRESS = re.compile(rf"hf://({_PART}/{_PART})(?:@([^:#\s]+))?(?::([^#]+))?")
_SHOWN = 8  # files that a message names
_PATIENCE = 20  # seconds


class Fetched(NamedTuple):
    """A file of the Hub on this machine.

    Attributes:
        path: in the local cache.
        address: with the commit that the revision stood for: "hf://OWNER/NAME@COMMIT:FILE".
        passed: other files of the repository that hold the same model in another form.
    """

    path: Path
    address: str
    passed: tuple[str, ...] = ()


def fetch(address: str) -> Fetched:
    """Fetches what `hf://OWNER/NAME[@REVISION][:FILE]` means.

    Without FILE the one that transformers would take; of a model in shards, all of them.

    Raises:
        UserError: the address has another form; huggingface_hub is missing; there is no such
            repository, revision or file; it can be neither reached nor found in the cache.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise UserError(f"{address}: write {FORM}")
    repository, revision, file = parts[1], parts[2] or "main", parts[3] or ""
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(
            f"{address}: fetching this needs huggingface_hub: pip install huggingface_hub, or"
            " name a file on the disk"
        ) from None
    passed: tuple[str, ...] = ()
    try:
        found = _find(huggingface_hub, repository, revision)
        if not file:
            file, passed = _chosen(address, found.names)

        def download(name: str) -> Path:
            # One request has told whether there is a network: none is waited for again.
            return Path(
                huggingface_hub.hf_hub_download(
                    repository, name, revision=found.commit, local_files_only=not found.reached
                )
            )

        path, folder = download(file), file.rpartition("/")[0]
        beside = [shard.name for shard in shards_of(path, exist=False)] if is_index(path) else []
        config = f"{folder}/config.json" if folder else "config.json"
        for name in [f"{folder}/{name}" if folder else name for name in beside]:
            download(name)
        if config in found.names:  # it says the attention heads
            download(config)
    except UserError:
        raise
    except Exception as error:  # its errors and those of its HTTP library have no common type
        raise _refusal(address, repository, revision, file, error) from error
    return Fetched(path, f"{SCHEME}{repository}@{_commit(path)}:{file}", passed)


class _Found(NamedTuple):
    """A revision: its commit, or the revision where that is unknown; its files; who told them."""

    commit: str
    names: set[str]
    reached: bool


def _find(hub: Any, repository: str, revision: str) -> _Found:
    """What the Hub says of a revision; without network, what of it is in the cache."""
    from huggingface_hub import constants, errors

    try:
        told = hub.HfApi().model_info(repository, revision=revision, timeout=_PATIENCE)
        return _Found(told.sha, {entry.rfilename for entry in told.siblings or []}, True)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, ValueError):
        raise
    except Exception:  # its errors and those of its HTTP library have no common type
        try:
            cached = hub.scan_cache_dir(constants.HF_HUB_CACHE).repos
        except hub.CacheNotFound:
            cached = frozenset()
    for known in cached:
        for commit in known.revisions if known.repo_id == repository else ():
            if revision == commit.commit_hash or revision in commit.refs:
                files = [f.file_path.relative_to(commit.snapshot_path) for f in commit.files]
                return _Found(commit.commit_hash, {path.as_posix() for path in files}, False)
    raise errors.LocalEntryNotFoundError(revision)


def _chosen(address: str, names: set[str]) -> tuple[str, tuple[str, ...]]:
    """The file to take, and others that hold the same."""
    if usual := usual_file(names):
        return usual.file, usual.passed
    weights = sorted(name for name in names if Path(name).suffix in SUFFIXES)
    if len(weights) == 1:
        return weights[0], ()
    told = ", ".join(weights[:_SHOWN]) or "no file of weights"
    raise UserError(f"{address}: say which file, as {FORM}; there is {told}")


def _commit(path: Path) -> str:
    """The commit of a file in the cache, which is the name of its snapshot's folder."""
    parts = path.parts
    return parts[len(parts) - parts[::-1].index("snapshots")]


def _refusal(
    address: str, repository: str, revision: str, file: str, error: Exception
) -> UserError:
    """The line for what the Hub's library raised."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{repository}"
    if isinstance(error, errors.GatedRepoError):
        told = f"is gated; ask for access at {page}, then `hf auth login`"
    elif isinstance(error, errors.RepositoryNotFoundError):
        told = "there is no such repository, or it is private (`hf auth login`)"
    elif isinstance(error, errors.RevisionNotFoundError):
        told = f"the repository has no revision {revision!r}"
    elif isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        told = "is not in the local cache, and the Hub cannot be reached"
    elif isinstance(error, errors.EntryNotFoundError):
        told = f"the repository has no file {file!r} at {revision!r} (see {page}/tree/{revision})"
    else:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        told = f"cannot be fetched, nor found in the local cache ({reason[:200]})"
    return UserError(f"{address}: {told}")
