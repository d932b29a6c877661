"""The record that a whitepaper is written from: a run's evaluation, release, ledger and profile, from its bucket."""

from dataclasses import dataclass
from typing import Any

from cortex.artifacts.artifact import read_verified
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.evaluation.card import Report
from cortex.fleet.home.download import release_of
from cortex.limits import RECORD_BYTES, read_json
from cortex.profiles.profile import Profile
from cortex.runs.budget import Charge, cap, charges
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.events import Event
from cortex.runs.ledger import LedgerReader
from cortex.runs.run_state import StageReport, stage_reports
from cortex.runs.show import read_evaluations
from cortex.runs.stage_list import STAGES

PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class PaperRecord:
    """All that a whitepaper says, before it is words."""

    run: str
    profile: Profile
    reports: list[Report]
    """The evaluation of each domain, with the domain's words."""
    release: Manifest
    provenance: dict[str, Any]
    stages: list[StageReport]
    machines: tuple[Charge, ...]
    cap: float
    """The dollars that the run was allowed to cost; 0 for no limit."""
    publications: list[Event]


def read_record(store: Store, run: str) -> PaperRecord:
    """Read a finished run's record, verified against its manifests.

    Raises:
        DataError: the run has no release or no evaluation, or its provenance cannot be read.
        VerificationError: a file differs from the published one.
    """
    profile, release = load_run(store, run), release_of(store, run)
    evaluations = read_evaluations(store, run, profile.domain)
    if not evaluations:
        raise DataError(f"run {run} has a release and no evaluation in {store.url}: a whitepaper needs both")
    prefix = artifact_prefix(run, "release")
    provenance = read_json(read_verified(store, prefix, release, PROVENANCE, RECORD_BYTES))
    if not isinstance(provenance, dict) or not isinstance(provenance.get("artifacts"), dict):
        raise DataError(
            f"{store.url}/{prefix}/{PROVENANCE} names no artifacts: run the release stage again in a new run"
        )
    parts = profile.domain.parts()
    names = [stage.name for stage in STAGES.values() if stage.wanted(profile)]
    events = LedgerReader(store, run).new_events()
    return PaperRecord(
        run=run,
        profile=profile,
        reports=[(evaluation, parts[name].card()) for name, evaluation in evaluations.items()],
        release=release,
        provenance=provenance,
        stages=stage_reports(store, run, names),
        machines=charges(events),
        cap=cap(events, profile.budget.dollars),
        publications=[event for event in events if event["event"] == "published"],
    )
