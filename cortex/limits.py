"""Limits on the size of everything that others wrote and the kit reads, far above what the kit itself writes.

Anybody who can write to the bucket, or controls a machine, chooses how long an answer is. So a reader asks for one
byte more than the limit, and stops if it comes. `docs/proof.md` shows the table.
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
"""A profile, a lease, a receipt, prices, a log's last part: everything that has no limit of its own below."""

MANIFEST_BYTES = 8 * MIB
"""A manifest: enough for `MANIFEST_FILES` files with names of some fifty bytes."""

MANIFEST_FILES = 50_000

LEDGER_BYTES = 8 * MIB
"""One object of a ledger. The events that are held back through an outage of six hours take 4 MiB."""

EVALUATION_BYTES = 32 * MIB
"""`evaluation.json`: it holds a point for each decision date, and samples with their prompts."""

QUESTIONS_BYTES = 256 * MIB
"""`questions.parquet`: some forty bytes for each answer of each model."""

TRANSCRIPTS_BYTES = 256 * MIB
"""`transcripts.parquet`: the text of each answer of each model, compressed."""

KEPT_ANSWERS_BYTES = 256 * MIB
"""One batch of a model's answers that its run keeps: thousands of prompts with many long samples."""

SAMPLES_BYTES = 8 * MIB
"""The sample answers that a training keeps of one step: 64 of 8,000 letters each, with their prompts."""

SIGNATURE_BYTES = 16 * MIB
"""`model.sig` names every file once more, in base64."""

CONFIG_BYTES = 1 * MIB
"""A model's `config.json`."""

ANSWER_BYTES = 1 * MIB
"""An answer of a registry, or of a machine over SSH."""

METADATA_BYTES = 64 * KIB
"""An answer of a cloud's metadata service, or of another program at its address; real ones have some hundred bytes."""

FILE_BYTES = 2**50
"""The size of one file that a manifest may state: 1 PiB, so that sums of sizes stay within usual numbers."""

NAME_LEVELS = 32
"""The depth of folders in a file's name."""

OBJECTS = 1_000_000
"""Entries of one listing."""

LINEAGE = 10_000
"""Artifacts that a release was made from, directly or not."""

JSON_LEVELS = 64
"""The depth of lists and mappings within each other."""


class TooLargeError(VerificationError):
    """Data is larger than its limit, or than its manifest says; the rest was not read."""


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading; a symbolic link is not followed, a pipe not waited for, a device not read.

    Raises:
        OSError: it cannot be opened, is a link (`ELOOP`), a folder (`EISDIR`), or no regular file (`EINVAL`).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL, "it is no file", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, limit: int) -> bytes:
    """A small file's bytes; at most one byte beyond `limit` is read.

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
    """The value of a JSON text that others wrote; with `nan`, it may hold Python's `NaN` and `Infinity`.

    Raises:
        ValueError: it is no JSON, holds `NaN` or `Infinity` without `nan`, or is nested too deeply.
    """
    try:
        value = json.loads(data, parse_constant=None if nan else _refuse_constant)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {JSON_LEVELS} levels deep") from error
    _require_shallow(value)
    return value


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(JSON_LEVELS):
        level = [inner for outer in level for inner in _nested(outer)]
        if not level:
            return
    raise ValueError(f"it is nested more than {JSON_LEVELS} levels deep")


def _nested(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in values if isinstance(inner, dict | list)]
