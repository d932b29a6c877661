"""File names that an artifact may hold: those that mean the same file on every disk and in every bucket."""

import re
import unicodedata
from collections.abc import Iterable

from cortex.errors import VerificationError
from cortex.limits import NAME_LEVELS, SIGNATURE_BYTES
from cortex.text import harmless

MANIFEST = "manifest.json"
SIGNATURE = "model.sig"
LARGEST_SIGNATURE = SIGNATURE_BYTES
"""Bytes. A signature has some 250 for each signed file; a larger one is not read."""

PART = "manifest.json.part"
"""A manifest that is being written."""

SIDECARS = frozenset({MANIFEST, SIGNATURE, PART})
"""Files at the top of an artifact's folder that its manifest cannot list: itself, and its signature."""

CHECKPOINT_TAG = ("kind", "checkpoint")
"""The tag on checkpoints' objects. A bucket's lifecycle rule matches a prefix or a tag, and checkpoints have no prefix
of their own, since they lie inside runs."""

RUNS = "runs"
"""The folder of a bucket that holds every run."""

BASES = "bases"
"""The folder of a bucket that holds the hub's models from which runs start, as `bases/<owner>--<name>/<revision>/`."""

TINKER = "tinker"
"""The folder of a bucket that holds what clients of Tinker services save, as
`tinker/<service>/<model>/<purpose>/<name>/`."""

KEPT_FOLDERS = ("artifact", "ledger", "lease", "logs", "quarantine", "release")
"""Folders of a run, at any depth, whose objects are never tagged, so that no rule for old checkpoints removes them."""

RUN_FOLDERS = frozenset({*KEPT_FOLDERS, "checkpoints"})
"""Folders that the kit makes inside a run. No run may have such a name, so that no pattern confuses them."""

_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)

MAX_PART_BYTES = 255
"""The longest name of one file or folder on the common file systems."""

MAX_KEY_BYTES = 1024
"""The longest key of an object in S3."""

MAX_NAME_BYTES = 640
"""The longest file name: it leaves room in the key for the artifact's prefix."""


def check_name(name: str) -> str:
    """Return a file's name if it is a safe relative POSIX path.

    Raises:
        VerificationError: it is absolute, climbs out of the folder, or cannot be written everywhere.
    """
    fault = _fault(name, MAX_NAME_BYTES) or _portability_fault(name)
    if fault:
        raise VerificationError(f"file name {name[:80]!a} {fault}: an artifact cannot hold it; rename the file")
    return name


def check_key(key: str) -> str:
    """Return a store's key if it is a safe relative POSIX path.

    Raises:
        VerificationError: it would lead out of the store, or no bucket takes it.
    """
    fault = _fault(key, MAX_KEY_BYTES)
    if fault:
        raise VerificationError(f"key {key[:80]!a} {fault}: a store cannot hold it; use a shorter, plainer one")
    return key


def is_of_a_checkpoint(key: str) -> bool:
    """Tell if an object lies in `runs/<run>/<stage>/checkpoints/`: the bucket's policy allows no other tags."""
    match key.split("/"):
        case ["runs", run, stage, "checkpoints", *inside] if len(inside) > 1:
            return RUN_FOLDERS.isdisjoint((run, stage, *inside[:-1]))
        case _:
            return False


def check_names(names: Iterable[str]) -> None:
    """Refuse names that would overwrite one another on some disks, and names of the kit's own files.

    Raises:
        VerificationError: two names are equal, differ only in case or Unicode form, or one is a folder of another.
    """
    seen: dict[str, str] = {}
    for name in names:
        check_name(name)
        folded = _fold_case(name)
        if folded in SIDECARS:
            raise VerificationError(f"file name {name!r} is kept for the manifest or its signature: rename the file")
        if folded in seen:
            raise VerificationError(f"file names {seen[folded]!r} and {name!r} are one file on some disks: rename one")
        seen[folded] = name
    for folded, name in seen.items():
        parent = folded
        while "/" in parent:
            parent = parent.rpartition("/")[0]
            if parent in seen:
                raise VerificationError(f"file name {seen[parent]!r} is also the folder of {name!r}: rename one")


def _fault(name: str, longest: int) -> str | None:
    parts = name.split("/")
    faults = {
        "is not UTF-8": any("\ud800" <= letter <= "\udfff" for letter in name),
        "is empty or absolute": not name or name.startswith("/"),
        "holds a backslash": "\\" in name,
        "has an empty, '.' or '..' part": any(part in ("", ".", "..") for part in parts),
        "holds a control character": any(unicodedata.category(letter) == "Cc" for letter in name),
        "is too long": _length(name) > longest or any(_length(part) > MAX_PART_BYTES for part in parts),
    }
    return next((fault for fault, found in faults.items() if found), None)


def _portability_fault(name: str) -> str | None:
    """The reason why a name would mean another file on some disks, or be misread; None for a plain name."""
    parts = name.split("/")
    faults = {
        "holds a character that cannot be seen": harmless(name, limit=len(name), lines=True) != name,
        'holds one of <>:"|?*': any(letter in '<>:"|?*' for letter in name),
        "has a part that ends in a dot or a blank": any(part.endswith((".", " ")) for part in parts),
        "names a device of Windows": any(_DEVICE.fullmatch(part) for part in parts),
        f"lies more than {NAME_LEVELS} folders deep": len(parts) > NAME_LEVELS,
    }
    return next((fault for fault, found in faults.items() if found), None)


def _fold_case(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _length(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
