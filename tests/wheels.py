"""Wheels and source archives made by a test, for installers that are kept from every index."""

import hashlib
import tarfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

FORM = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> Path:
    """A wheel with these files, which requires others; files in `NAME-VERSION.data/scripts` become programs."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {other}\n" for other in requires)
    meta = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}", "WHEEL": FORM}
    held = {**files, **{f"{info}/{key}": text for key, text in meta.items()}}
    with ZipFile(path, "w") as archive:
        for inside, text in held.items():
            entry = ZipInfo(inside)
            entry.external_attr = 0o100755 << 16 if "/scripts/" in inside else 0o100644 << 16
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{inside},,\n" for inside in [*held, f"{info}/RECORD"]))
    return path


def make_sources(folder: Path, name: str, version: str) -> Path:
    """A source archive that setuptools can build."""
    folder.mkdir(parents=True, exist_ok=True)
    path, root = folder / f"{name}-{version}.tar.gz", f"{name}-{version}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "setup.py": f"from setuptools import setup\nsetup(name={name!r}, version={version!r})\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for inside, text in files.items():
            entry = tarfile.TarInfo(f"{root}/{inside}")
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    return path


def locked(path: Path, digest: str | None = None) -> str:
    """A lock's entry for such a file, with its own hash or another."""
    name, version = path.name.removesuffix(".tar.gz").split("-")[:2]
    return f"{name}=={version} \\\n    --hash=sha256:{digest or hashlib.sha256(path.read_bytes()).hexdigest()}\n"
