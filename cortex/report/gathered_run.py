"""All that the page of a run is made of, read from its bucket and verified."""

from dataclasses import dataclass
from typing import Any, cast

import polars as pl

from cortex.artifacts.artifact import find, read_verified
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store
from cortex.domains.domain import DESCRIPTION
from cortex.evaluation.record import Evaluation
from cortex.evaluation.transcripts import TRANSCRIPTS, read_transcripts
from cortex.fleet.status.run_status import RunStatus, read_status
from cortex.limits import RECORD_BYTES, TRANSCRIPTS_BYTES, read_json
from cortex.profiles.profile import Profile
from cortex.report.run_attempts import Attempt, attempts
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.events import Event
from cortex.runs.ledger import LedgerReader
from cortex.runs.reports import report_folders
from cortex.runs.show import read_evaluations
from cortex.runs.stage_list import STAGES, TRAINERS
from cortex.runs.trial_record import search_words
from cortex.tracking.curve import Point, curve
from cortex.tracking.sample_tables import SampleTables

PROVENANCE = "provenance.json"


@dataclass(frozen=True, eq=False)
class GatheredRun:
    """One run, as far as it has come."""

    run: str
    profile: Profile
    status: RunStatus
    events: list[Event]
    """The whole ledger, in the order of its reader."""
    attempts: list[Attempt]
    curves: dict[str, list[Point]]
    """The points of each stage that trained."""
    samples: dict[str, SampleTables]
    """The answers that each of these stages kept."""
    evaluations: dict[str, Evaluation]
    """By the domain's name; empty until the evaluate stage is done."""
    transcripts: dict[str, pl.DataFrame]
    """By the domain's name; without those that an earlier version of the kit evaluated."""
    manifests: dict[str, Manifest]
    """The artifact of each stage that is done."""
    dataset: dict[str, Any]
    """The description of the dataset; empty until it is built."""
    provenance: dict[str, Any]
    """The release's record of what it was made from; empty until there is one."""
    search: str | None
    """A sentence on the trial of a search that the run is; None for a run of its own."""


def gather(store: Store, run: str) -> GatheredRun:
    """Read a run.

    Raises:
        UsageError: there is no such run.
        VerificationError: a file differs from the published one.
    """
    profile, status = load_run(store, run), read_status(store, run)
    events = LedgerReader(store, run).new_events()
    names = [stage.name for stage in STAGES.values() if stage.wanted(profile)]
    curves = {stage: points for stage in TRAINERS if (points := curve(events, stage))}
    found = {name: find(store, artifact_prefix(run, name)) for name in names}
    manifests = {name: manifest for name, manifest in found.items() if manifest}
    return GatheredRun(
        run,
        profile,
        status,
        events,
        attempts(events),
        curves,
        {stage: SampleTables(store, run, stage) for stage in curves},
        read_evaluations(store, run, profile.domain),
        _transcripts(store, run, profile, manifests.get("evaluate")),
        manifests,
        _record(store, run, "data", DESCRIPTION, manifests.get("data")),
        _record(store, run, "release", PROVENANCE, manifests.get("release")),
        search_words(store, run),
    )


def _transcripts(store: Store, run: str, profile: Profile, manifest: Manifest | None) -> dict[str, pl.DataFrame]:
    prefix, found = artifact_prefix(run, "evaluate"), dict[str, pl.DataFrame]()
    for name, folder in report_folders(profile.domain).items():
        file = f"{folder}{TRANSCRIPTS}"
        if manifest and any(entry.name == file for entry in manifest.files):
            data = read_verified(store, prefix, manifest, file, TRANSCRIPTS_BYTES)
            found[name] = read_transcripts(data, f"{store.url}/{prefix}/{file}")
    return found


def _record(store: Store, run: str, stage: str, name: str, manifest: Manifest | None) -> dict[str, Any]:
    """A JSON object of an artifact; {} where the artifact has none."""
    if manifest is None or all(entry.name != name for entry in manifest.files):
        return {}
    found: object = read_json(read_verified(store, artifact_prefix(run, stage), manifest, name, RECORD_BYTES))
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
