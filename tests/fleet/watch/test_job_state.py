"""A run's job as SkyPilot knows it, by SkyPilot's own records; a real one fails in `tests/testbed`."""

import io
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sky.jobs.state import ManagedJobStatus
from sky.schemas.api.responses import ManagedJobRecord

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.status.run_status import RunWatcher
from cortex.fleet.status.status_view import print_status
from cortex.fleet.watch.job_state import JobState, JobWatcher, find_job_state, newest_launch
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.conftest import Cortex
from tests.fleet.services import hanging

pytestmark = pytest.mark.integration

RUN = "run-1"
NOW = 1_800_000_000.0
LAUNCHED = {"event": "launched", "epoch": 1, "time": NOW, "job": 7}


def record(task: int, status: str, **further: Any) -> ManagedJobRecord:
    given = {"job_id": 7, "job_name": job_name(RUN), "submitted_at": NOW - 20, "recovery_count": 0} | further
    return ManagedJobRecord(task_id=task, task_name=f"task-{task}", status=ManagedJobStatus(status), **given)


def state(*records: ManagedJobRecord, launch: dict[str, Any] = LAUNCHED) -> JobState | None:
    return find_job_state(records, RUN, launch)


@pytest.mark.parametrize("word", [status.value for status in ManagedJobStatus])
def test_the_first_task_that_has_not_succeeded_tells_how_the_job_stands(word: str) -> None:
    found = state(record(1, word, recovery_count=2), record(2, "PENDING"), record(0, "SUCCEEDED"))
    assert found
    if word == "SUCCEEDED":
        assert (found.task, found.state, found.ended) == ("task-2", "pending", False)
        return
    assert (found.job, found.task, found.state, found.recoveries) == ("job/7", "task-1", word.lower(), 2)
    assert found.failed == word.startswith("FAILED")
    assert found.ended == (found.failed or word == "CANCELLED")


def test_a_job_all_of_whose_tasks_succeeded_has_ended_well() -> None:
    found = state(record(0, "SUCCEEDED"), record(1, "SUCCEEDED"))
    assert found and (found.state, found.ended, found.failed) == ("succeeded", True, False)


@pytest.mark.parametrize(
    "other",
    [
        {"job_name": job_name("run-2")},
        {"job_id": 8},
        {"submitted_at": NOW - 7200},
    ],
    ids=["another run's", "another launch's", "of the same number on another server"],
)
def test_what_is_not_this_launch_is_not_taken_for_it(other: dict[str, Any]) -> None:
    assert state(record(0, "FAILED", **other)) is None
    found = state(record(0, "FAILED", **other), record(0, "RUNNING"))
    assert found and found.state == "running"


def test_while_it_is_being_launched_an_earlier_job_that_has_ended_is_not_it() -> None:
    launching = {"event": "launching", "epoch": 2, "time": NOW}
    assert state(record(0, "CANCELLED"), launch=launching) is None
    found = state(record(0, "CANCELLED"), record(0, "STARTING", job_id=8), launch=launching)
    assert found and (found.job, found.state) == ("job/8", "starting")


def test_a_launch_is_dated_by_its_beginning_though_it_was_gone_on_with_hours_later() -> None:
    begun = {"event": "launching", "epoch": 3, "time": NOW - 9000}
    later = {"event": "launched", "epoch": 3, "time": NOW, "job": 7}
    assert newest_launch([later, {**begun, "epoch": 2, "time": 5.0}, begun]) == {**later, "time": NOW - 9000}
    assert newest_launch([{**later, "epoch": 2}, begun]) == begun
    assert newest_launch([{"event": "stage_started", "epoch": 9, "time": NOW}]) is None


def test_its_reason_is_a_harmless_line() -> None:
    found = state(record(0, "FAILED_SETUP", details="Failure: \x1b[31mno\x1b[0m disk\n\x1b]0;title\x07"))
    assert found and "\x1b" not in str(found) and "\n" not in str(found)
    assert str(found).startswith("SkyPilot: job/7, task task-0, failed setup: Failure: no disk")


@pytest.mark.parametrize(
    ("word", "ledger", "told"),
    [
        ("failed_no_resource", "waiting", "failed"),
        ("failed_setup", "running", "failed"),
        ("cancelled", "silent", "stopped"),
        ("succeeded", "waiting", "waiting"),
        ("starting", "waiting", "waiting"),
        ("failed", "over budget", "over budget"),
    ],
)
def test_a_job_that_skypilot_ended_ends_every_view(
    word: str, ledger: str, told: str, profile: Profile, store: Store
) -> None:
    create_run(store, RUN, profile)
    entries = Ledger(store, RUN, 1)
    entries.append("launched", job=7)
    if ledger != "waiting":
        clock = (lambda: time.time() - 3600) if ledger == "silent" else time.time
        Ledger(store, RUN, 2, clock).append("stage_started", stage="data")
    if ledger == "over budget":
        Ledger(store, RUN, 2).append("stage_failed", stage="data", seconds=1.0, code=76, reason="spent")
    watcher = JobWatcher(RUN)
    status = ManagedJobStatus(word.upper())
    watcher.state = JobState("job/7", "sft", word, status.is_terminal(), status.is_failed(), 0, "no capacity")
    found = RunWatcher(store, RUN).look().with_job(watcher)
    assert (found.state, found.over) == (told, word != "starting")
    text = io.StringIO()
    print_status(found, Console(file=text, width=200))
    assert f"SkyPilot: job/7, task sft, {word.replace('_', ' ')}: no capacity" in text.getvalue()
    shown = found.to_json()["skypilot"]
    assert shown["state"] == word and shown["reason"] == "no capacity"


def test_who_looks_where_nobody_watches_is_told(profile: Profile, store: Store) -> None:
    create_run(store, RUN, profile)
    Ledger(store, RUN, 1).append("launched", job=7)
    watcher = JobWatcher(RUN)
    watcher.state, watcher.unwatched = JobState("job/7", "sft", "starting", False, False, 0, None), True
    text = io.StringIO()
    print_status(RunWatcher(store, RUN).look().with_job(watcher), Console(file=text, width=200))
    assert "no watcher is at work here" in text.getvalue() and "`cortex watch`" in text.getvalue()


@pytest.fixture
def status(profile: Profile, store: FolderStore, cortex: Cortex, tmp_path: Path) -> Cortex:
    """`cortex status` of a run that was launched, for a user whose home is empty."""
    create_run(store, RUN, profile)
    Ledger(store, RUN, 1).append("launched", job=7)
    return partial(cortex, "status", RUN, HOME=str(tmp_path), CORTEX_BUCKET=store.url, COLUMNS="300")


def test_a_server_that_hangs_holds_nobody_up(status: Cortex) -> None:
    with hanging() as url:
        started = time.monotonic()
        done = status("--json", SKYPILOT_API_SERVER_ENDPOINT=url)
    assert done.returncode == 0 and time.monotonic() - started < 30
    found = json.loads(done.stdout)
    assert (found["state"], found["skypilot"]) == ("waiting", None)
    assert "does not answer" in found["skypilot_unasked"] or "has not answered for 10 s" in found["skypilot_unasked"]


def test_a_server_that_is_not_there_is_a_line_and_none_is_started(status: Cortex, tmp_path: Path) -> None:
    plain = status()
    assert plain.returncode == 0 and "SkyPilot" not in plain.stdout, "it was launched from elsewhere"
    gone = status(SKYPILOT_API_SERVER_ENDPOINT="http://127.0.0.1:9")
    assert gone.returncode == 0, gone.stderr
    assert "SkyPilot could not be asked: cannot ask for the job of run-1: SkyPilot's server http://" in gone.stdout
    (tmp_path / ".sky" / "api_server").mkdir(parents=True)
    local = status()
    assert local.returncode == 0 and "does not answer: start it" in local.stdout
    assert not list((tmp_path / ".sky" / "api_server").iterdir())
