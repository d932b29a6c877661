"""Datasets from recorded feedback: built into a folder, and published in the bucket under a name."""

import datetime as dt
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from cortex.artifacts.artifact import describe, publish
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.store import Store
from cortex.domains.domain import Domain
from cortex.domains.feedback_dataset import KIND, PREFIX, split_by_time, write_feedback
from cortex.errors import DataError, UsageError
from cortex.limits import LEDGER_BYTES
from cortex.serving.feedback import feedback_bucket
from cortex.serving.feedback.collecting import collect, describe_feedback, read_feedback_folder

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


def build_feedback(
    root: Path, domain: Domain, name: str, out: Path, *, test_share: float, gap: dt.timedelta, chats: bool
) -> dict[str, Any]:
    """Build a dataset of one domain's feedback into a new folder, and return its description.

    Raises:
        UsageError: the folder is not empty.
        DataError: there is no feedback to train on, or a file cannot be read or written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out} is there and not empty: name a new folder")
    recorded = read_feedback_folder(root)
    collected = collect(recorded, domain, name, chats=chats)
    frame, left_out = split_by_time(collected.examples, test_share, gap)
    description = describe_feedback(recorded, collected, domain) | {
        "split": {"test_share": test_share, "gap_hours": gap / dt.timedelta(hours=1)},
        "left_out": dict(sorted((collected.left_out + Counter(left_out)).items())),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
            folder = Path(aside, "dataset")
            folder.mkdir()
            write_feedback(frame, description, str(domain.kind), folder)
            write_whole(folder / MANIFEST, describe(folder, kind=KIND).data)
            folder.rename(out)
    except OSError as error:
        raise DataError(f"{error.filename or out}: {error.strerror or error}; nothing was written") from error
    return {**description, "manifest": Manifest.read(out).digest, "examples": frame.height}


def publish_feedback(folder: Path, store: Store, name: str) -> str:
    """Publish a built dataset in the bucket under a name, and return its manifest's digest.

    Raises:
        UsageError: the name is none.
        RefusedError: another dataset has this name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"--publish {name!r}: write a name of lower-case letters, digits, dots, hyphens")
    return publish(folder, store, f"{PREFIX}/{name}", kind=KIND, keep=True).digest


def pull_feedback(store: Store, root: Path) -> tuple[int, int]:
    """Bring all gateways' files from the bucket into `root`. Returns the number of new files, and of all.

    A file that is longer here, such as that of a gateway at work on this machine, stays as it is.

    Raises:
        DataError: the bucket does not answer, or a file cannot be written.
    """
    new, entries = 0, store.list(feedback_bucket.PREFIX)
    for entry in entries:
        target = root / entry.key.removeprefix(f"{feedback_bucket.PREFIX}/")
        if target.exists() and target.stat().st_size >= entry.size:
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside = target.with_suffix(".partial")
            aside.touch(mode=0o600)
            aside.write_bytes(store.get(entry.key, LEDGER_BYTES))
            aside.rename(target)
        except OSError as error:
            raise DataError(f"{target} cannot be written: {error.strerror or error}") from error
        new += 1
    return new, len(entries)
