"""From a file to the parameters of one of our models: `[NAME:]PATH[#KEY]` in, arrays out."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import VIT, BackboneConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.adapt import renormalise_patches
from surgvista_jax.weights.choosing import GivenHeads, choose, heads_rule
from surgvista_jax.weights.differing import difference
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.files.write import flat
from surgvista_jax.weights.kinds import INSIDE, encoder_of, with_encoder, with_epsilon_of
from surgvista_jax.weights.matching import Expect, Match
from surgvista_jax.weights.names.entries import Entry
from surgvista_jax.weights.names.table import KINDS, Table, in_words
from surgvista_jax.weights.place import Place, locate, open_place
from surgvista_jax.weights.runs import read_run

BATCH_STATS = "batch_stats/"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What was read.

    Attributes:
        table: by which table; None for a folder of ours that was not imported.
        kind: "student", "encoder", "classifier", "teacher" or "cnn".
        config: StudentConfig, EncoderConfig, ClassifierConfig or, for a CNN, BackboneConfig.
        params: nested dict of NumPy float32.
        batch_stats: the same, or None where the model has none.
        place: where it was read from.
        digest: sha256 in hex: of the file; of a folder, of its arrays and their names.
        match: how the names matched; None for a folder.
        metadata: what the file says of itself besides.
        notes: what was changed of it for its use, a line each.
    """

    table: Table | None
    kind: str
    config: Any
    params: dict
    batch_stats: dict | None
    place: Place
    digest: str
    match: Match | None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """The digest; with it the key, where one was named, for a file may hold several models."""
        return self.digest + (f"#{self.place.key}" if self.place.key else "")

    def summary(self) -> str:
        """One line for the screen: what was read, how names matched, the file's digest."""
        if self.match is None:
            return f"{self.place.path}: our {self.kind}; sha256 {self.digest[:16]}"
        fetched = f"; from {self.place.address}" if self.place.address else ""
        return f"{self.match.summary()}; sha256 {self.digest[:16]}{fetched}"


def load(
    spec: str | Path | Place,
    *,
    kinds: Sequence[str] = KINDS,
    expect: Expect | None = None,
    heads: GivenHeads = None,
) -> Loaded:
    """Reads all parameters that a file or folder holds. Nothing is loaded in part.

    Args:
        spec: `[NAME:]PATH[#KEY]`, or where that is; NAME says which table's names the file has,
            where several would do.
        kinds: which kinds of content are wanted.
        expect: the configuration that the content must have, as a function of what the file says
            (see `matching.match`). Without it the file decides.
        heads: attention heads of the encoder, or of each part by name, where the file does not say
            them itself; without them those that papers name.

    Raises:
        UserError: the file cannot be read; no table fits it, or several that differ; anything is
            missing, unexpected or mis-shaped (with the table of names).
    """
    place = spec if isinstance(spec, Place) else locate(spec)
    if place.path.is_dir():
        return _load_folder(place, kinds, expect)
    with open_place(place) as source:
        found = choose(source, place.name, kinds, expect, heads)
        found.require()
        params, batch_stats = read_matched(source, found)
    return Loaded(
        found.table,
        found.table.kind,
        found.config,
        params,
        batch_stats,
        place,
        source.digest,
        found,
        source.metadata,
    )


def load_backbone(
    spec: str | Path | Place, expected: BackboneConfig | None = None, heads: GivenHeads = None
) -> tuple[BackboneConfig, dict, Loaded]:
    """Reads what turns clips into tokens; of a student or a classifier, its encoder.

    Args:
        spec: as for `load`.
        expected: architecture, transformer and patch that the file must have. What `adapt` can
            change (tubelet, positions, class token, norm), and what its program knows (epsilon),
            is the file's own.
        heads: as for `load`.

    Returns:
        its configuration; {"params": …, "batch_stats": … (of a CNN)}, which want pixels normalised
        by ImageNet's mean and deviation; and all that was read.

    Raises:
        UserError: as `load`.
    """

    def expect(kind: str, found: Any) -> Any:
        encoder = None if found is None else encoder_of(found)
        sizes = None if expected is None else expected.encoder
        if sizes is None or encoder is None:
            return expected
        transformer = with_epsilon_of(sizes.transformer, encoder.transformer)
        changed = dataclasses.replace(encoder, transformer=transformer, patch=sizes.patch)
        return with_encoder(found, changed)

    rule = expect if expected is not None else None
    heads = heads_rule(heads, expected) if expected is not None else heads
    kinds: Sequence[str] = KINDS
    if expected is not None:
        kinds = [kind for kind in KINDS if (kind == "cnn") == (expected.architecture != VIT)]
    loaded = load(spec, kinds=kinds, expect=rule, heads=heads)
    loaded = dataclasses.replace(loaded, notes=encoder_notes(loaded))
    if loaded.kind == "cnn":
        return (
            loaded.config,
            {"params": loaded.params, "batch_stats": loaded.batch_stats or {}},
            loaded,
        )
    params = {"params": encoder_params(loaded)}
    return BackboneConfig(VIT, encoder_of(loaded.config)), params, loaded


def encoder_params(loaded: Loaded) -> dict:
    """The encoder's own tree of any ViT, for pixels normalised by ImageNet's mean and deviation."""
    params = loaded.params[INSIDE[loaded.kind]] if loaded.kind in INSIDE else loaded.params
    if loaded.table is None or not loaded.table.pixels:
        return params
    embedding = renormalise_patches(params["patch_embedding"], loaded.table.pixels)
    return {**params, "patch_embedding": embedding}


def encoder_notes(loaded: Loaded) -> tuple[str, ...]:
    """What `encoder_params` leaves out and changes, in words."""
    rest = loaded.params.keys() - {INSIDE[loaded.kind]} if loaded.kind in INSIDE else ()
    notes: tuple[str, ...] = ()
    if rest:
        part = INSIDE[loaded.kind]
        notes += (f"of its {loaded.kind} only the {part} is taken, not {', '.join(sorted(rest))}",)
    if loaded.table is not None and loaded.table.pixels:
        notes += ("its patches now take pixels that are normalised as ImageNet's",)
    return notes + _other_pixels(loaded)


def _other_pixels(loaded: Loaded) -> tuple[str, ...]:
    """What else the file might have been, where nobody named its table, in words."""
    if loaded.match is None or loaded.match.named or loaded.table is None:
        return ()
    name = loaded.table.name
    return tuple(
        f"read as {name} ({in_words(loaded.table.pixels)}); {table.only_named}: {table.name}:FILE"
        for table in tables.registry().values()
        if table.only_named and table.variant_of == name
    )


def digest_of(tree: Mapping) -> str:
    """sha256 in hex of the arrays of a tree, with their names and shapes."""
    total = hashlib.sha256()
    for name, leaf in sorted(flat(tree).items()):
        total.update(f"{name} {leaf.dtype} {leaf.shape}\n".encode())
        total.update(np.ascontiguousarray(leaf).data)
    return total.hexdigest()


def read_matched(source: SourceFile, found: Match) -> tuple[dict, dict | None]:
    """The parameters of a complete match, each array of the file in memory only in its turn."""
    params: dict[str, Any] = {}
    batch_stats: dict[str, Any] = {}
    for entry in found.entries:
        for path, leaf in zip(entry.paths, _leaves(source, found, entry), strict=True):
            if path.startswith(BATCH_STATS):
                _put(batch_stats, path.removeprefix(BATCH_STATS), leaf)
            else:
                _put(params, path, leaf)
    return params, batch_stats or None


def _leaves(source: SourceFile, found: Match, entry: Entry) -> list[np.ndarray]:
    def read(layer: int) -> tuple[np.ndarray, ...]:
        arrays = []
        for name in entry.named(layer):
            array, kind = source.take(found.names[name]), ""
            if array.dtype.kind != "f":
                kind = str(array.dtype)
            else:
                with np.errstate(over="ignore"):  # what is too large is infinite afterwards
                    array = array.astype(np.float32, copy=False)
                if not np.isfinite(array).all():
                    kind = "values that are not finite as float32"
            if kind:
                raise UserError(
                    f"{source.path}: {found.names[name]} holds {kind}; weights are finite numbers"
                )
            arrays.append(array)
        return entry.transform.to_ours(*arrays)

    if not entry.layers:  # copied: a view would keep the file's pages or a second array alive
        return [np.array(part, np.float32, order="C") for part in read(0)]
    first = read(0)
    leaves = [np.empty((entry.layers, *part.shape), np.float32) for part in first]
    for layer in range(entry.layers):
        for leaf, part in zip(leaves, read(layer) if layer else first, strict=True):
            leaf[layer] = part
    return leaves


def _put(tree: dict, path: str, leaf: np.ndarray) -> None:
    *parents, last = path.split("/")
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[last] = leaf


def _load_folder(place: Place, kinds: Sequence[str], expect: Expect | None) -> Loaded:
    path = place.path
    content, _ = read_run(path)
    if content.kind not in kinds:
        raise UserError(f"{path}: holds a {content.kind}, wanted is {' or '.join(kinds)}")
    config = content.config
    if expect is not None and (expected := expect(content.kind, config)) is not None:
        if fault := difference(config, expected):
            raise UserError(f"{path}: {fault}")
        config = expected
    table = tables.registry().get(content.origin.get("table", ""))
    digest = digest_of({"params": content.params, "batch_stats": content.batch_stats or {}})
    return Loaded(
        table, content.kind, config, content.params, content.batch_stats, place, digest, None
    )
