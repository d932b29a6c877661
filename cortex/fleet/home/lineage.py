"""Lineage of a run's release: manifest by manifest, back to the inputs that no run of the bucket made."""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rich.text import Text
from rich.tree import Tree

from cortex.artifacts.file_names import BASES, RUNS
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.home.download import release_of
from cortex.limits import LINEAGE, MANIFEST_BYTES

DEEPEST = 20
"""Most levels that are drawn: each is indented by four more columns."""


@dataclass(frozen=True)
class Origin:
    """One artifact of a lineage: its manifest, and its name in the first artifact found that was made from it."""

    name: str
    digest: str
    manifest: Manifest | None
    """None for an input that is in no run of this bucket."""
    prefix: str | None

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """Names and digests of the artifact's inputs."""
        return sorted(self.manifest.inputs.items()) if self.manifest else []


@dataclass(frozen=True)
class Lineage:
    """A release and all artifacts that it was made from, directly or not; each appears once."""

    release: str
    origins: dict[str, Origin]
    """By digest: the release first, then level by level."""

    def walk(self) -> list[Origin]:
        return list(self.origins.values())


def lineage(store: Store, run: str) -> Lineage:
    """Walk from a run's release to every input.

    Raises:
        DataError: the run has no release, or more artifacts before it than any real release has.
        VerificationError: a manifest on the way is damaged.
    """
    release = release_of(store, run)
    shelf = _Shelf(store, run)
    origins: dict[str, Origin] = {}
    pending = deque([("release", release.digest)])
    while pending:
        name, digest = pending.popleft()
        if digest in origins:
            continue
        if len(origins) == LINEAGE:
            raise DataError(f"run {run} names more than {LINEAGE:,} artifacts before its release: it is not drawn")
        prefix, manifest = shelf.find(digest) or (None, None)
        origins[digest] = Origin(name, digest, manifest, prefix)
        pending += origins[digest].inputs
    return Lineage(release.digest, origins)


def draw(found: Lineage) -> Tree:
    """The lineage as a tree for the terminal; the inputs of an artifact are drawn once, where it first appears."""
    top = found.origins[found.release]
    tree = Tree(_label("release", top))
    drawn = {found.release}
    # Depth first: a stack of branches, each with the inputs that are not drawn yet.
    pending: list[tuple[Tree, Iterator[tuple[str, str]]]] = [(tree, iter(top.inputs))]
    while pending:
        branch, left = pending[-1]
        name, digest = next(left, (None, ""))
        if name is None:
            pending.pop()
            continue
        origin = found.origins[digest]
        label = _label(name, origin)
        if digest in drawn and origin.inputs:
            branch.add(label.append(" (as above)", "dim"))
            continue
        drawn.add(digest)
        if len(pending) == DEEPEST and origin.inputs:
            branch.add(label.append(" and more before it", "dim"))
            continue
        pending.append((branch.add(label), iter(origin.inputs)))
    return tree


class _Shelf:
    """The manifests of a bucket, by digest; other runs' manifests are read only if the run's own do not suffice."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._own = {manifest.digest: (prefix, manifest) for prefix, manifest in self._parsed(f"runs/{run}")}

    def find(self, digest: str) -> tuple[str, Manifest] | None:
        if digest in self._own:
            return self._own[digest]
        prefix = self._others.get(digest)
        return (prefix, self._parse(prefix)) if prefix else None

    @cached_property
    def _others(self) -> dict[str, str]:
        """Prefixes of other manifests, by the hash of their bytes: unparsed, so that a damaged one does no harm."""
        return {
            hashlib.sha256(self._store.get(f"{prefix}/{MANIFEST}", MANIFEST_BYTES)).hexdigest(): prefix
            for folder in (BASES, RUNS)
            for prefix in self._prefixes(folder)
        }

    def _parsed(self, folder: str) -> Iterator[tuple[str, Manifest]]:
        for prefix in self._prefixes(folder):
            yield prefix, self._parse(prefix)

    def _prefixes(self, folder: str) -> Iterator[str]:
        for entry in self._store.list(folder):
            prefix, _, name = entry.key.rpartition("/")
            # A checkpoint belongs to one stage, and is never an input of another.
            if name == MANIFEST and "/checkpoints/" not in prefix:
                yield prefix

    def _parse(self, prefix: str) -> Manifest:
        key = f"{prefix}/{MANIFEST}"
        return Manifest.parse(self._store.get(key, MANIFEST_BYTES), f"{self._store.url}/{key}")


def _label(name: str, origin: Origin) -> Text:
    words = Text.assemble((name, "bold"), f" {origin.digest[:12]} ")
    if origin.manifest is None:
        return words.append("from outside this bucket", "dim")
    manifest = origin.manifest
    seeds = "".join(f" {name}={seed}" for name, seed in sorted(manifest.seeds.items()))
    words.append(f"{manifest.kind}, {len(manifest.files)} files, {manifest.size:,} bytes ")
    return words.append(f"code {manifest.code}{' seeds' + seeds if seeds else ''}", "dim")
