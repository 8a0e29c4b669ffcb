"""A folder in a bucket: its objects by name, read and written whole.

An object store has no folders, renames, links, locks or appends: an object is there whole, or is
not. fsspec reaches it (gcsfs for gs://, s3fs for s3://), by the credentials that these find.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from surgvista_jax.addresses import address_of
from surgvista_jax.errors import UserError

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}
_AT_ONCE = 8  # transfers; of one alone, a network gives a part of what it can
_LONGEST = 200  # characters of a library's words in a message

_Item = TypeVar("_Item")


class Bucket:
    """The objects below one address; names are relative to it.

    All methods raise UserError, in one line, for what the store refuses.

    Raises:
        UserError: what reaches such a store is not installed, or is not known; no bucket is named.
    """

    def __init__(self, address: str | os.PathLike):
        self.address = address_of(address)
        scheme, _, place = self.address.partition("://")
        if not place:
            raise UserError(f"{self.address}: names no bucket: should be {scheme}://BUCKET/FOLDER")
        try:
            import fsspec

            # Others write there too: what was listed before says nothing.
            self._files, self._root = fsspec.url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            extra = _EXTRAS.get(scheme)
            how = f'pip install -e ".[{extra}]"' if extra else _short(error)
            raise UserError(f"{self.address}: reaching {scheme}:// needs more: {how}") from None
        except Exception as error:  # the libraries raise no common type
            raise UserError(f"{self.address}: cannot be reached ({_short(error)})") from error

    def read(self, name: str) -> bytes | None:
        """An object; None where there is none."""
        with self._told(name):
            try:
                data: bytes = self._files.cat_file(self._place(name))
            except FileNotFoundError:
                return None
            return data

    def sizes(self) -> dict[str, int]:
        """All objects: name -> bytes."""
        with self._told(""):
            self._files.invalidate_cache()
            found = self._files.find(self._root, detail=True)
        root = f"{self._root.rstrip('/')}/"
        return {
            path.removeprefix(root): int(about["size"])
            for path, about in found.items()
            if path.startswith(root) and path != root
        }

    def write(self, name: str, data: bytes) -> None:
        """Puts an object in the place of what is there."""
        with self._told(name):
            self._files.pipe_file(self._place(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Puts an object where there is none; False if there is one.

        Of two who do so at once, one does where the store heeds what gcsfs and s3fs ask of it
        (ifGenerationMatch, IfNoneMatch); on others the last one wins.
        """
        with self._told(name):
            try:
                if self._files.exists(self._place(name)):
                    return False
                self._files.pipe_file(self._place(name), data, mode="create")
            except FileExistsError:
                return False
            except Exception:
                # What the refusal is called differs; whether there is one now does not.
                if self._files.exists(self._place(name)):
                    return False
                raise
        return True

    def put(self, path: Path, name: str) -> None:
        """Copies a file of this machine to an object."""
        with self._told(name):
            self._files.put_file(os.fspath(path), self._place(name))

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        with self._told(name), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._place(name))

    def fetch(self, name: str, path: Path) -> None:
        """Copies an object to a file of this machine, which is replaced."""
        with self._told(name):
            self._files.get_file(self._place(name), os.fspath(path))

    def _place(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Makes what the store refuses one line."""
        try:
            yield
        except Exception as error:  # the libraries raise no common type
            where = f"{self.address.rstrip('/')}/{name}"
            why = "no such object" if isinstance(error, FileNotFoundError) else _short(error)
            raise UserError(f"{where}: cannot be reached ({why})") from error


def at_once(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Does something with each item, several at a time; the first error ends it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(work, item) for item in items]
        try:
            for each in running:
                each.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _short(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
