"""A part of an artifact: some of its folders are left out on purpose, each of them whole."""

from collections.abc import Iterable, Set

from cortex.artifacts.manifest import FileEntry, Manifest

NOTHING: frozenset[str] = frozenset()


def is_in(name: str, folders: Set[str]) -> bool:
    """Tell if a file lies in one of these folders of the artifact."""
    folder, inside, _ = name.partition("/")
    return bool(inside) and folder in folders


def entries_without(manifest: Manifest, left_out: Set[str]) -> list[FileEntry]:
    """The files of an artifact that lie in none of these folders."""
    return [entry for entry in manifest.files if not is_in(entry.name, left_out)]


def absent_folders(left_out: Set[str], present: Iterable[str]) -> frozenset[str]:
    """The folders that may be left out and of which no file is there: what is there in part is damaged."""
    begun = {name.partition("/")[0] for name in present if "/" in name}
    return frozenset(left_out) - begun
