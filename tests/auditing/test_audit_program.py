"""`cortex audit` as a program, and the audit in the data stage of a run."""

import json
from pathlib import Path

import polars as pl
import pytest

from cortex.artifacts.artifact import find
from cortex.artifacts.open_store import open_store
from cortex.auditing.audit_record import AUDIT, audit_facts
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import artifact_prefix, create_run
from tests.conftest import Cortex
from tests.tables import bars

pytestmark = pytest.mark.integration

SMALL = {"domain.source.chains": 2, "domain.source.days": 400, "teacher.examples": 50}


def test_the_data_stage_keeps_its_audit_and_the_run_can_be_audited_again(cortex: Cortex, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "home" / "bucket"))
    create_run(store, "one", load_profile("rehearsal", SMALL))
    done = cortex("run", "data", "--run", "one")
    assert done.returncode == 0, done.stderr
    manifest = find(store, artifact_prefix("one", "data"))
    assert manifest and AUDIT in {entry.name for entry in manifest.files}
    folder = store.local_path(artifact_prefix("one", "data"))
    assert folder
    kept = json.loads((folder / AUDIT).read_text(encoding="utf-8"))
    assert kept["findings"] == [] and "3 times from 2 symbols" in kept["domains"]["markets"]["rebuilt"]
    facts = audit_facts(folder, "markets")
    assert facts["Audit of the data"] == "no finding"
    assert facts["Independent outcomes in test"].endswith("or more shows")
    by_run, by_folder = (cortex("audit", name, "--json") for name in ("one", folder))
    assert by_run.returncode == by_folder.returncode == 0, by_run.stderr + by_folder.stderr
    assert by_run.stdout == by_folder.stdout
    again = json.loads(by_run.stdout)["domains"]["markets"]
    assert again["splits"] == kept["domains"]["markets"]["splits"] and "6 times" in again["rebuilt"]


def test_a_column_of_the_next_bar_is_a_finding_and_an_exit_code(cortex: Cortex, tmp_path: Path) -> None:
    table = bars(symbols=("BTC",), days=300)
    ahead = (pl.col("close").shift(-2) / pl.col("close").shift(-1) - 1).fill_null(0.0)  # a metric counts a day later
    table.with_columns(ahead.alias("flow")).write_csv(tmp_path / "prices.csv")
    out = tmp_path / "out"
    assert cortex("dataset", "build", "--data", tmp_path / "prices.csv", "--out", out).returncode == 0
    unnamed = cortex("audit", out)
    assert unnamed.returncode == 2 and "name its profile by --profile, or --no-rebuild" in unnamed.stderr
    done = cortex("audit", out, "--no-rebuild", COLUMNS="200")
    assert done.returncode == 65, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("finding: ")]
    assert line.startswith("finding: markets: column: flow has a rank correlation of ")
