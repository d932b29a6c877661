"""The most that is read of what others wrote. One table of caps, far above what the kit itself writes.

Whoever can write to the bucket, or holds a machine, chooses how long an answer is: a reader asks for one byte more than
its cap, and stops when that comes. `docs/proof.md` shows the table.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from cortex.errors import VerificationError

KIB, MIB = 1024, 1024**2

RECORD_BYTES = 1 * MIB
"""A profile, a lease, a receipt, prices, a log's last part: what has no cap of its own below."""

MANIFEST_BYTES = 8 * MIB
"""A manifest: of the most files that one may list, with names of some fifty bytes."""

MANIFEST_FILES = 50_000

LEDGER_BYTES = 8 * MIB
"""One object of a ledger; what was held back through an outage of six hours takes four."""

EVALUATION_BYTES = 32 * MIB
"""`evaluation.json`: a point for each decision date, and samples with their prompts."""

KEPT_ANSWERS_BYTES = 256 * MIB
"""One batch of a model's answers, which its run has kept: thousands of prompts with many long samples."""

SAMPLES_BYTES = 8 * MIB
"""The answers of one step that a training kept to be read: 64 of them, with their prompts, of 8,000 letters each."""

SIGNATURE_BYTES = 16 * MIB
"""`model.sig` names every file once more, in base64."""

CONFIG_BYTES = 1 * MIB
"""A model's `config.json`."""

ANSWER_BYTES = 1 * MIB
"""An answer of a registry, or of a machine that is asked by SSH."""

METADATA_BYTES = 64 * KIB
"""An answer of a cloud's metadata service, or of whoever listens at its address; real ones have hundreds."""

FILE_BYTES = 2**50
"""One file, as a manifest may state it: 1 PiB, so that sums stay numbers that can be computed with."""

NAME_LEVELS = 32
"""Folders within each other that a file's name may hold."""

OBJECTS = 1_000_000
"""Entries of one listing."""

LINEAGE = 10_000
"""Artifacts before a release."""

JSON_LEVELS = 64
"""Lists and mappings within each other."""


class TooLargeError(VerificationError):
    """Something is larger than it may be, or than it was said to be; no more of it was read."""


def open_file(path: Path) -> BinaryIO:
    """Open a file to read it; no link is followed at its end, no pipe waited for, and no device read.

    Raises:
        OSError: it cannot be opened; it is a link (`ELOOP`), or neither file nor folder (`EINVAL`).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "it is no file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, limit: int) -> bytes:
    """A small file's bytes, read to one beyond `limit` at most.

    Raises:
        TooLargeError: it is larger.
        OSError: as `open_file`.
    """
    with open_file(path) as file:
        data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    if len(data) > limit:
        raise TooLargeError(f"{path} has more than the {limit:,} bytes that it may have")
    return data


def read_json(data: bytes | str, *, nan: bool = False) -> Any:
    """The value of a JSON text that others wrote; with `nan`, one that may hold what Python writes for no number.

    Raises:
        ValueError: it is no JSON, holds a number that JSON has no word for (NaN), or is nested too deeply.
    """
    try:
        value = json.loads(data, parse_constant=None if nan else _refuse)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {JSON_LEVELS} levels deep") from error
    _require_shallow(value)
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(JSON_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError(f"it is nested more than {JSON_LEVELS} levels deep")


def _inside(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in values if isinstance(inner, dict | list)]
