"""Archive of the kit for the server: code and lock, in bytes that depend on the files' contents alone."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

BUNDLES = "server"
"""Folder of the data bucket for archives, each named by its hash."""

INCLUDED = ("cortex", "images/control/requirements.lock", "infra/server", "jobs", "scripts/use_checkout.py", "sky.yaml")
"""Files for `cortex watch` and the setup; packages in the lock come from the package index, checked by their hashes."""


@dataclass(frozen=True)
class Bundle:
    """An archive, and the SHA-256 that the server checks before it unpacks the archive."""

    data: bytes
    digest: str

    @property
    def key(self) -> str:
        """The archive's name in the data bucket."""
        return f"{BUNDLES}/{self.digest}.tar.gz"

    def write(self, folder: Path) -> Path:
        """Write the archive into a folder, from which Pulumi uploads it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.digest}.tar.gz"
        path.write_bytes(self.data)
        return path


def make_bundle(checkout: Path) -> Bundle:
    """Pack the files of a checkout that the server needs. Equal files give equal bytes, since times, owners and caches
    are left out."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for path in sorted(_files(checkout)):
            data = path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(checkout).as_posix())
            entry.size, entry.mode = len(data), 0o755 if path.suffix == ".sh" else 0o644
            tar.addfile(entry, io.BytesIO(data))
    data = packed.getvalue()
    return Bundle(data, hashlib.sha256(data).hexdigest())


def _files(checkout: Path) -> list[Path]:
    roots = [checkout / name for name in INCLUDED]
    found = [path for root in roots for path in (root.rglob("*") if root.is_dir() else [root])]
    return [path for path in found if path.is_file() and not _left_out(path.relative_to(checkout))]


def _left_out(path: Path) -> bool:
    """True for caches, and for hidden files: none of them is code, and they often hold keys."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)
