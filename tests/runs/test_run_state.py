import time
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.runs.context import artifact_prefix
from cortex.runs.ledger import Ledger
from cortex.runs.run_state import SILENT_SECONDS, RunFollower, StageReport, release_path, stage_reports
from tests.backdating import backdate


def report(store: Store) -> StageReport:
    (found,) = stage_reports(store, "a", ["data"])
    return found


def publish_data(store: Store, tmp_path: Path) -> str:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "x").write_text("x")
    return publish(folder, store, artifact_prefix("a", "data"), kind="data").digest


def test_a_stage_that_nobody_began_waits(store: Store) -> None:
    assert report(store) == StageReport("data")


def test_a_stage_under_way_shows_its_progress_and_its_pace(store: Store) -> None:
    ledger = Ledger(store, "a", 1, lambda: now[0])
    began = round(time.time() - 90, 6)
    now = [began]
    ledger.append("stage_started", stage="data")
    for step in (1, 2, 3):
        now[0] += 20
        ledger.progress(step=step, total=10, loss=0.5)
    found = report(store)
    assert (found.state, found.attempts, found.step, found.total, found.values) == ("running", 1, 3, 10, {"loss": 0.5})
    assert found.started == pytest.approx(time.time(), abs=10), "by the bucket's clock, which the machine's is behind"
    assert (found.pace, found.seconds_left) == (pytest.approx(20), pytest.approx(140))


def test_a_stage_that_was_killed_is_silent_until_it_gives_a_sign_of_life(store: Store) -> None:
    follower = RunFollower(store, "a", ["data", "sft"])
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="data")
    backdate(store, "runs/a", SILENT_SECONDS + 1)
    follower.update()
    assert follower.stages["data"].state == "silent"
    Ledger(store, "a", 1, name="meter").append("machine_alive", machine="m", since=0.0, until=1.0)
    follower.update()
    assert (follower.stages["data"].state, follower.stages["data"].preemptions) == ("running", 0)
    Ledger(store, "a", 2).append("stage_started", stage="data")
    follower.update()
    assert [follower.stages["data"].attempts, follower.stages["data"].preemptions] == [2, 1]


@pytest.mark.parametrize(("reason", "preemptions"), [("PreemptedError: SIGTERM", 1), ("HungError: no step", 0)])
def test_only_what_took_the_machine_away_counts_as_a_preemption(reason: str, preemptions: int, store: Store) -> None:
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="data")
    ledger.append("stage_failed", stage="data", seconds=1.0, code=75, reason=reason)
    Ledger(store, "a", 2).append("stage_started", stage="data")
    assert report(store).preemptions == preemptions


def test_a_failed_stage_says_why_and_a_retried_one_adds_up(store: Store, tmp_path: Path) -> None:
    for epoch in (1, 2):
        ledger = Ledger(store, "a", epoch)
        ledger.append("stage_started", stage="data")
        ledger.append("stage_failed", stage="data", seconds=2.5, code=65, reason="DataError: no")
    found = report(store)
    assert (found.state, found.attempts, found.seconds, found.reason) == ("failed", 2, 5.0, "DataError: no")
    Ledger(store, "a", 3).append("stage_started", stage="data")  # killed
    ledger = Ledger(store, "a", 4)
    ledger.append("stage_started", stage="data")
    assert (report(store).state, report(store).reason) == ("running", None)
    digest = publish_data(store, tmp_path)
    ledger.append("stage_finished", stage="data", seconds=1.0, manifest=digest)
    assert report(store).to_json() == {
        "name": "data",
        "state": "done",
        "attempts": 4,
        "manifest": digest,
        "seconds": 6.0,
    }


def test_an_artifact_is_done_though_its_maker_was_killed_before_it_could_say_so(store: Store, tmp_path: Path) -> None:
    Ledger(store, "a", 1).append("stage_started", stage="data")
    digest = publish_data(store, tmp_path)
    assert (report(store).state, report(store).manifest) == ("done", digest)


def test_without_its_artifact_nothing_is_done(store: Store) -> None:
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="data")
    ledger.append("stage_finished", stage="data", seconds=1.0, manifest="0" * 64)
    assert (report(store).state, report(store).manifest) == ("waiting", None)


def test_an_attempt_that_lost_the_run_does_not_speak_for_the_stage(store: Store) -> None:
    old, new = Ledger(store, "a", 1), Ledger(store, "a", 2)
    old.append("stage_started", stage="data")
    new.append("stage_started", stage="data")
    old.progress(step=9, total=10)
    old.append("stage_failed", stage="data", seconds=2.0, code=77, reason="RefusedError: taken over")
    found = report(store)
    assert (found.state, found.step, found.seconds, found.reason) == ("running", None, 2.0, None)


@pytest.mark.parametrize(("stage", "expected"), [("release", "runs/a/release"), ("sft", "runs/a/sft/artifact")])
def test_artifacts_have_their_places(stage: str, expected: str, store: Store) -> None:
    assert artifact_prefix("a", stage) == expected
    assert release_path(store, "a") == f"{store.url}/runs/a/release"


def test_a_reward_that_misled_is_told_until_the_stage_begins_anew(store: Store) -> None:
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="data")
    figures = {"reward_before": 0.2, "reward_after": 2.5, "truth_before": 0.34, "truth_after": 0.23}
    ledger.append("misled", stage="data", since=0, step=32, **figures)
    words = "from step 0 to step 32 the reward rose from 0.200 to 2.500 while the truth fell from 0.340 to 0.230"
    assert report(store).misled == report(store).to_json()["misled"] == words
    Ledger(store, "a", 2).append("stage_started", stage="data")
    assert report(store).misled is None and "misled" not in report(store).to_json()
