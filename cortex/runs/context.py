"""The context that a stage gets: its run, profile, earlier artifacts, scratch folder and ledger; and runs' ids."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from cortex.artifacts.artifact import Artifact, fetch, find
from cortex.artifacts.creating import create, supports_conditional_writes
from cortex.artifacts.file_names import RUN_FOLDERS
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile import Profile
from cortex.runs.ledger import Ledger
from cortex.runs.run_secret import RunSecret

if TYPE_CHECKING:
    from cortex.runs.gang import Gang
    from cortex.runs.meter import Meter

_AT_ONCE = 32

_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class RunContext:
    """A run, as one process sees it."""

    run: str
    profile: Profile
    store: Store
    work: Path
    """The run's scratch folder on this machine."""
    lease: Lease
    ledger: Ledger
    secret: RunSecret
    """The secret whose codes show that a checkpoint is this run's own."""
    meter: "Meter | None" = None
    """The meter of the run's budget; None where nothing is metered."""
    gang: "Gang | None" = None
    """The connection to the other machines that train with this one; None if there are none."""
    stages: tuple[str, ...] = ()
    """All stages that this program was started for; later ones run on this machine, too."""
    seen: dict[str, Artifact] = field(default_factory=dict[str, Artifact])
    """The verified artifacts on this machine, by stage; and the base."""

    @property
    def leads(self) -> bool:
        """True if this machine holds the lease. Its output alone becomes the artifact; other machines' is discarded."""
        return self.gang is None or self.gang.node.leads

    def artifact(self, stage: str) -> Artifact:
        """A finished stage's artifact on this machine, verified.

        Raises:
            DataError: it is not complete, or its bytes are not what its manifest says.
        """
        if stage not in self.seen:
            self.seen[stage] = fetch(self.store, artifact_prefix(self.run, stage), inputs_folder(self.work))
        return self.seen[stage]

    def finished(self, stage: str) -> Manifest | None:
        """The manifest of a finished stage; None while it is not finished."""
        return find(self.store, artifact_prefix(self.run, stage))

    def folder(self, stage: str) -> Path:
        """A stage's scratch folder, which outlives a kill: files there are its own, from this run."""
        path = self.work / stage
        path.mkdir(parents=True, exist_ok=True)
        return path

    def progress(self, step: int, total: int, values: Mapping[str, float] | None = None) -> None:
        """Report progress: `step` of `total`, and the values measured there, such as `loss`.

        Raises:
            BudgetError: the run has reached its cap: no further item may be begun.
        """
        self.ledger.progress(step=step, total=total, **(values or {}))
        if self.meter:
            self.meter.require()


def output_folder(work: Path, stage: str) -> Path:
    """The folder that a stage fills, under a run's scratch folder. With a bucket, the release stays there, sealed."""
    return work / stage / "output"


def inputs_folder(work: Path) -> Path:
    """The folder of artifacts that were downloaded from a bucket, or made here for a later stage, by digest."""
    return work / "inputs"


def local_ledger(folder: Path) -> Path:
    """The events about a release's publication, beside it on the machine that made it, in the ledger's format."""
    return folder / "ledger.jsonl"


def artifact_prefix(run: str, stage: str) -> str:
    """The prefix of a stage's artifact in the bucket."""
    return f"runs/{run}/release" if stage == "release" else f"runs/{run}/{stage}/artifact"


def new_run_id(profile: Profile) -> str:
    """A fresh id: the profile's name, the time in UTC, and four random digits."""
    return f"{profile.name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def create_run(store: Store, run: str, profile: Profile, *, rehearsal: bool = False) -> Profile:
    """Create a run in the bucket, or find it there. Its profile never changes afterwards.

    Raises:
        ConfigError: the run exists with another profile, or the bucket ignores conditional writes. A `rehearsal`, in
            which one machine alone writes, only gets a warning then.
        UsageError: the id is not valid.
    """
    key = _profile_key(run)
    # Looked up first and read back afterwards, since a bucket that ignores conditional writes would replace it.
    if not store.exists(key):
        _require_conditional_writes(store, rehearsal=rehearsal)
        create(store, key, profile.to_json())
    stored = load_run(store, run)
    if stored.digest != profile.digest:
        raise ConfigError(
            f"run {run} was started under another profile ({stored.name}, {stored.digest[:12]}, not "
            f"{profile.name}, {profile.digest[:12]}): continue it without naming a profile, or start a new run"
        )
    return stored


def _require_conditional_writes(store: Store, *, rehearsal: bool) -> None:
    if supports_conditional_writes(store):
        return
    lack = (
        f"{store.url} ignores conditional writes (If-None-Match), so that of two writers at one moment one replaces "
        "what the other wrote"
    )
    if not rehearsal:
        raise ConfigError(f"{lack}: keep runs in a bucket that knows them, such as S3's (CORTEX_BUCKET=s3://...)")
    logger.warning(f"{lack}: it will do for a rehearsal, and for nothing else")


def load_run(store: Store, run: str) -> Profile:
    """The profile of a run.

    Raises:
        UsageError: there is no such run in this bucket, or the id is not valid.
    """
    key = _profile_key(run)
    try:
        return Profile.from_json(store.get(key), f"{store.url}/{key}")
    except MissingObjectError as error:
        known = list_runs(store)
        hint = f"the newest here: {', '.join(known[-3:])}" if known else "the bucket holds no run"
        raise UsageError(f"no run {run!r} in {store.url}: {hint}") from error


def list_runs(store: Store) -> list[str]:
    """The ids of all runs in a bucket, sorted."""
    folders = [name for name in store.folders("runs") if _RUN_ID.fullmatch(name)]
    # Checked one by one, since a listing of everything below would give thousands of objects for each run.
    entered = in_parallel(lambda run: store.exists(_profile_key(run)), folders, _AT_ONCE)
    return [run for run, there in zip(folders, entered, strict=True) if there]


def check_run_id(run: str) -> str:
    """Return a run's id if it is valid.

    Raises:
        UsageError: it is not.
    """
    if run.casefold() in RUN_FOLDERS:
        raise UsageError(f"run id {run!r} is the name of a folder that every run has: call the run anything else")
    if not _RUN_ID.fullmatch(run):
        raise UsageError(f"run id {run!r} must be 1 to 100 letters, digits, '-', '_' and '.', and not begin with '.'")
    return run


def _profile_key(run: str) -> str:
    return f"runs/{check_run_id(run)}/profile.json"
