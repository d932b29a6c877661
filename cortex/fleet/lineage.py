"""Where a run's release comes from: from manifest to manifest, back to the inputs that nobody here made."""

from dataclasses import dataclass
from functools import cached_property

from rich.tree import Tree

from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.download import release_of


@dataclass(frozen=True)
class Origin:
    """One artifact of the walk: how its maker called it, and what it was made from."""

    name: str
    digest: str
    manifest: Manifest | None
    """None for an input that lies in no run of this bucket."""
    prefix: str | None
    inputs: tuple["Origin", ...]

    def walk(self) -> list["Origin"]:
        """This one and all before it, each digest once, this one first."""
        found: dict[str, Origin] = {}
        pending: list[Origin] = [self]
        while pending:
            origin = pending.pop(0)
            if origin.digest not in found:
                found[origin.digest] = origin
                pending += origin.inputs
        return list(found.values())


def lineage(store: Store, run: str) -> Origin:
    """Walk from a run's release to every input.

    Raises:
        DataError: the run has no release.
        VerificationError: a manifest on the way is damaged.
    """
    release = release_of(store, run)
    shelf = _Shelf(store, run)
    return _origin("release", release.digest, shelf, ())


def draw(origin: Origin) -> Tree:
    """The walk as a tree for the terminal; what was drawn once is only named again."""
    tree = Tree(_label(origin))
    drawn: set[str] = set()
    _grow(tree, origin, drawn)
    return tree


class _Shelf:
    """The manifests of a bucket, by digest: the run's own first, the others only when one is missing."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._own = self._read(f"runs/{run}")

    def find(self, digest: str) -> tuple[str, Manifest] | None:
        return self._own.get(digest) or self._others.get(digest)

    @cached_property
    def _others(self) -> dict[str, tuple[str, Manifest]]:
        return self._read("runs")

    def _read(self, folder: str) -> dict[str, tuple[str, Manifest]]:
        found: dict[str, tuple[str, Manifest]] = {}
        for entry in self._store.list(folder):
            prefix, _, name = entry.key.rpartition("/")
            # A checkpoint is the past of one stage, not an input of another.
            if name == MANIFEST and "/checkpoints/" not in prefix:
                manifest = Manifest.parse(self._store.get(entry.key), f"{self._store.url}/{entry.key}")
                found[manifest.digest] = (prefix, manifest)
        return found


def _origin(name: str, digest: str, shelf: _Shelf, above: tuple[str, ...]) -> Origin:
    if digest in above:
        raise DataError(f"artifact {digest[:12]} says it was made from itself: its manifest is forged")
    found = shelf.find(digest)
    if found is None:
        return Origin(name, digest, None, None, ())
    prefix, manifest = found
    inputs = tuple(_origin(child, source, shelf, (*above, digest)) for child, source in sorted(manifest.inputs.items()))
    return Origin(name, digest, manifest, prefix, inputs)


def _grow(tree: Tree, origin: Origin, drawn: set[str]) -> None:
    drawn.add(origin.digest)
    for source in origin.inputs:
        again = source.digest in drawn and source.inputs
        branch = tree.add(_label(source) + (" [dim](as above)[/dim]" if again else ""))
        if not again:
            _grow(branch, source, drawn)


def _label(origin: Origin) -> str:
    if origin.manifest is None:
        return f"[bold]{origin.name}[/bold] {origin.digest[:12]} [dim]from outside this bucket[/dim]"
    seeds = "".join(f" {name}={seed}" for name, seed in sorted(origin.manifest.seeds.items()))
    return (
        f"[bold]{origin.name}[/bold] {origin.digest[:12]} {origin.manifest.kind}, {len(origin.manifest.files)} files, "
        f"{origin.manifest.size:,} bytes [dim]code {origin.manifest.code}{' seeds' + seeds if seeds else ''}[/dim]"
    )
