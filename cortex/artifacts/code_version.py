"""The version of the code that makes an artifact, from the sources themselves: git may be missing, or dirty."""

import hashlib
from functools import cache
from pathlib import Path

import cortex


@cache
def code_version() -> str:
    """The package's version and a short hash of its sources, such as `0.1.0+3f9c1a2b7d04`."""
    return f"{cortex.__version__}+{source_hash(Path(cortex.__file__).parent)}"


def source_hash(package: Path) -> str:
    """Twelve hexadecimal digits over the names and bytes of a package's Python files."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]
