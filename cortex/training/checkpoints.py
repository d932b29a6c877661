"""Checkpoints that can be trusted: a trainer resumes from the newest one that verifies, never from a torn one.

A trainer's own save is followed by a manifest, written last. A folder without one, or one whose bytes differ, is moved
aside, so that nothing ever resumes from it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.verify import verify
from cortex.errors import DataError

QUARANTINE = "quarantine"
_NAME = re.compile(r"^checkpoint-(?P<step>\d+)$")


@dataclass(frozen=True)
class Owner:
    """Whose checkpoints these are: another run's, profile's or stage's are never resumed from."""

    run: str
    stage: str
    profile: str
    """The profile's digest."""


def commit(folder: Path, owner: Owner) -> Manifest:
    """Make a saved checkpoint one that can be resumed from: hash its files and write its manifest."""
    step = int(folder.name.rpartition("-")[2])
    manifest = describe(
        folder,
        kind="checkpoint",
        profile=owner.profile,
        meta={"run": owner.run, "stage": owner.stage, "step": step},
    )
    write_whole(folder / MANIFEST, manifest.data)
    return manifest


def newest_verified(root: Path, owner: Owner) -> tuple[Path | None, list[str]]:
    """The newest trustworthy checkpoint below `root`, and why each newer one was quarantined."""
    found = sorted(
        ((int(match["step"]), path) for path in root.glob("checkpoint-*") if (match := _NAME.match(path.name))),
        reverse=True,
    )
    reasons: list[str] = []
    for step, path in found:
        fault = _fault(path, step, owner)
        if fault is None:
            return path, reasons
        reasons.append(f"{path.name}: {fault}")
        _quarantine(path)
    return None, reasons


def _fault(path: Path, step: int, owner: Owner) -> str | None:
    try:
        found = verify(path)
    except DataError as error:
        return str(error)
    meta = found.manifest.meta
    if not found.ok:
        return str(found)
    if (meta.get("run"), meta.get("stage"), meta.get("step")) != (owner.run, owner.stage, step):
        return f"it belongs to run {meta.get('run')}, stage {meta.get('stage')}, step {meta.get('step')}"
    if found.manifest.profile != owner.profile:
        return "it was made under another profile"
    return None


def _quarantine(path: Path) -> None:
    aside = path.parent / QUARANTINE
    aside.mkdir(exist_ok=True)
    number = sum(1 for _ in aside.iterdir())
    path.rename(aside / f"{path.name}.{number}")
