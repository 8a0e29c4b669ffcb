"""An object store that is none: objects in a folder of this machine, by what stores can do alone.

An object is there whole or is not; there are no folders, links, locks, renames or appends. It
stands for gs:// in a process that has called `stand_in`, and all processes that name one `root` see
the same objects.
"""

import io
import os
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import fsspec
from fsspec.spec import AbstractFileSystem


class FakeBucket(AbstractFileSystem):
    protocol = ("gs", "gcs")
    cachable = False
    root: Path
    # Called with "get", "put" or "remove" and the object's name before that is done.
    meet: Callable[[str, str], None] = staticmethod(lambda what, name: None)

    @classmethod
    def _path(cls, path: str) -> Path:
        return cls.root / urllib.parse.quote(cls._strip_protocol(path), safe="")

    @classmethod
    def _names(cls) -> list[str]:
        return sorted(urllib.parse.unquote(p.name) for p in cls.root.iterdir() if p.suffix != ".~")

    def info(self, path: str, **_: object) -> dict:
        name = self._strip_protocol(path)
        if self._path(name).is_file():
            size = self._path(name).stat().st_size
            return {"name": name, "size": size, "type": "file"}
        if any(other.startswith(f"{name}/") for other in self._names()):
            return {"name": name, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: object) -> list:
        name = self._strip_protocol(path)
        below = [n[len(name) + 1 :] for n in self._names() if n.startswith(f"{name}/")]
        children = sorted({f"{name}/{rest.split('/')[0]}" for rest in below})
        if not children:
            return [self.info(path)] if detail else [name]
        return [self.info(child) for child in children] if detail else children

    def _open(self, path: str, mode: str = "rb", **_: object) -> io.IOBase:
        if mode == "rb":
            self.meet("get", self._strip_protocol(path))
            return open(self._path(path), "rb")
        if mode != "wb":
            raise NotImplementedError(f"{path}: an object store cannot open as {mode!r}")
        return _Upload(self, path)

    def _rm(self, path: str) -> None:
        self.meet("remove", self._strip_protocol(path))
        self._path(path).unlink()

    def mv(self, path1: str, path2: str, *_: object, **__: object) -> None:
        raise NotImplementedError(f"{path1}: an object store renames nothing")

    def mkdir(self, path: str, *_: object, **__: object) -> None:
        """Nothing is made: a store has no folders."""

    makedirs = mkdir


class _Upload(io.BytesIO):
    """An object that is there once it is closed."""

    def __init__(self, store: FakeBucket, path: str):
        super().__init__()
        self.store, self.path = store, path

    def close(self) -> None:
        if self.closed:
            return
        data = self.getvalue()
        super().close()
        self.store.meet("put", self.store._strip_protocol(self.path))
        place = self.store._path(self.path)
        aside = place.with_name(f"{place.name}.{os.getpid()}.~")
        aside.write_bytes(data)
        os.replace(aside, place)


def stand_in(root: Path) -> type[FakeBucket]:
    """Has gs:// of this process lead to a folder; the class returned is what can be told faults."""
    root.mkdir(parents=True, exist_ok=True)
    store = type("Store", (FakeBucket,), {"root": root})
    for name in FakeBucket.protocol:
        fsspec.register_implementation(name, store, clobber=True)
    return store


def upload(folder: Path, address: str) -> None:
    """Copies a folder into a bucket, as `gcloud storage cp -r` does."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with fsspec.open(f"{address}/{path.relative_to(folder)}", "wb") as file:
                file.write(path.read_bytes())
