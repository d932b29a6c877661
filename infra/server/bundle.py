"""The kit as the server runs it: one archive of code and lock, which depends on nothing but their bytes."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

BUNDLES = "server"
"""The folder of the data bucket where archives lie, each under its hash."""

INCLUDED = ("cortex", "images/control/requirements.lock", "infra/server", "jobs", "scripts/use_checkout.py", "sky.yaml")
"""What `cortex watch` and the set-up read: everything that the lock names comes from the package index, by its hash."""


@dataclass(frozen=True)
class Bundle:
    """An archive, and the SHA-256 that the server compares before it unpacks it."""

    data: bytes
    digest: str

    @property
    def key(self) -> str:
        """Its name in the data bucket."""
        return f"{BUNDLES}/{self.digest}.tar.gz"

    def write(self, folder: Path) -> Path:
        """Put it into a folder, for Pulumi to upload."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.digest}.tar.gz"
        path.write_bytes(self.data)
        return path


def make_bundle(checkout: Path) -> Bundle:
    """Pack what the server needs of a checkout. Equal files give equal bytes: no times, owners or caches are in it."""
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
    """True for caches, and for hidden files: no code is one, and keys often are."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)
