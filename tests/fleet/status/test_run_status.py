"""A run's status by its ledger: every state, damage, and buckets that are not ours."""

import io
import json
import threading
import time
from collections.abc import Callable

import pytest

from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.errors import DataError
from cortex.fleet.status.run_logs import follow_logs, read_logs
from cortex.fleet.status.run_status import read_status
from cortex.fleet.status.run_table import print_runs, read_runs, runs_json
from cortex.fleet.status.status_view import follow, print_status
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from cortex.runs.stage_log import log_key
from tests.backdating import backdate
from tests.conftest import Cortex

RUN = "run-1"
Life = Callable[[Ledger], None]


def begun(ledger: Ledger) -> None:
    ledger.append("stage_started", stage="data")


def failed(code: int, reason: str) -> Life:
    def life(ledger: Ledger) -> None:
        begun(ledger)
        ledger.append("stage_failed", stage="data", seconds=1.0, code=code, reason=reason)

    return life


def silent(ledger: Ledger) -> None:
    begun(Ledger(ledger.store, RUN, ledger.epoch, lambda: time.time() - 3600))
    backdate(ledger.store, f"runs/{RUN}/ledger", 3600)


def stopped(ledger: Ledger) -> None:
    failed(75, "PreemptedError: SIGTERM")(ledger)
    Ledger(ledger.store, RUN, 2).append("stopped", job=7)


def launched_again(ledger: Ledger) -> None:
    failed(1, "StageError: it broke")(ledger)
    Ledger(ledger.store, RUN, 2).append("launched", job=8, again=True)


def abandoned(ledger: Ledger) -> None:
    silent(ledger)
    Ledger(ledger.store, RUN, 2).append("teardown", machines=["job/7"], abandoned=True)


def launched_after_silence(ledger: Ledger) -> None:
    silent(ledger)
    Ledger(ledger.store, RUN, 2).append("launched", job=8, again=True)


LIVES: dict[str, tuple[Life, str, int]] = {
    "nothing yet": (lambda ledger: None, "waiting", 0),
    "under way": (begun, "running", 0),
    "killed": (silent, "silent", 0),
    "broken": (failed(1, "StageError: it broke"), "failed", 0),
    "preempted": (failed(75, "PreemptedError: SIGTERM"), "recovering", 1),
    "at its cap": (failed(76, "BudgetError: spent"), "over budget", 0),
    "stopped": (stopped, "stopped", 1),
    "abandoned": (abandoned, "stopped", 0),
    "begun anew": (launched_again, "waiting", 0),
    "begun anew after its machine was lost": (launched_after_silence, "waiting", 0),
}


@pytest.mark.parametrize("name", LIVES)
def test_each_state_is_called_by_its_name(name: str, profile: Profile, store: Store) -> None:
    life, state, preemptions = LIVES[name]
    create_run(store, RUN, profile)
    life(Ledger(store, RUN, 1))
    found = read_status(store, RUN).to_json()
    assert (found["state"], found["preemptions"]) == (state, preemptions)
    text = io.StringIO()
    print_status(read_status(store, RUN), Console(file=text, width=200))
    assert state in text.getvalue()


def test_money_machine_step_and_time_left_are_told(profile: Profile, store: Store) -> None:
    create_run(store, RUN, profile)
    now = [time.time() - 60.0]
    ledger = Ledger(store, RUN, 3, lambda: now[0])
    ledger.append("stage_started", stage="sft")
    meter = Ledger(store, RUN, 3, lambda: now[0], name="meter")
    machine = {"machine": "i-1", "since": now[0] - 1740}
    where = {"cloud": "aws", "region": "us-east-1", "zone": "us-east-1b", "instance_type": "p5.48xlarge", "spot": True}
    meter.append("machine_started", **machine, **where, dollars_per_hour=30.0)
    for step in (10, 20, 30):
        now[0] += 20
        ledger.progress(step=step, total=60, loss=0.5)
    ledger.flush()
    Ledger(store, RUN, 4).append("budget_raised", dollars=40.0)
    found = read_status(store, RUN)
    full = found.to_json()
    assert (full["stage"], full["step"], full["total"], full["values"]) == ("sft", 30, 60, {"loss": 0.5})
    assert full["seconds_left"] == pytest.approx(60, abs=1)
    assert (full["spent"], full["budget"]) == (pytest.approx(15, abs=0.01), 40.0)
    text = io.StringIO()
    print_status(found, Console(file=text, width=200))
    assert "spent $15.00 of $40.00" in text.getvalue()
    assert "i-1 (aws us-east-1b p5.48xlarge spot, $30.00/h)" in text.getvalue()


RUBBISH = (
    b"\xff\xfe",
    b"[]",
    b'{"event": "x"}',
    b'{"event": 1, "epoch": 1, "time": NaN}',
    b"[" * 100_000,
)


def test_a_damaged_ledger_is_read_as_far_as_it_goes_and_named(profile: Profile, store: Store) -> None:
    create_run(store, RUN, profile)
    ledger = Ledger(store, RUN, 1)
    begun(ledger)
    ledger.append("stage_failed", stage="data", seconds=1.0, code=65, reason="DataError: no")
    key = f"runs/{RUN}/ledger/00000001-000001.jsonl"
    store.put(key, store.get(key)[:-20])
    for number, rubbish in enumerate(RUBBISH):
        store.put(f"runs/{RUN}/ledger/00000002-{number:06d}.jsonl", rubbish)
    found = read_status(store, RUN)
    assert found.state == "running", "what was cut off is not known"
    assert len(found.damaged) == 1 + len(RUBBISH) and found.damaged[0] == key
    text = io.StringIO()
    print_status(found, Console(file=text, width=400))
    assert f"{1 + len(RUBBISH)} damaged objects of the ledger, from {store.url}/{key}" in text.getvalue()


def test_following_ends_with_the_run_and_says_each_change_once(profile: Profile, store: Store) -> None:
    create_run(store, RUN, profile)
    failed(76, "BudgetError: spent [/on/this]")(Ledger(store, RUN, 1))
    text = io.StringIO()
    follow(store, RUN, Console(file=text, width=200), every=0.01)
    first, *_, last = text.getvalue().splitlines()
    assert first.split()[:2] == ["data", "failed"]
    assert last == "data: BudgetError: spent [/on/this]"
    text = io.StringIO()
    follow(store, RUN, Console(file=text, width=200, force_terminal=True), every=0.01)
    assert "spent [/on/this]" in text.getvalue()


@pytest.mark.parametrize("skew", [-400 * 86_400.0, -86_400.0, -60.0, 60.0, 86_400.0, 400 * 86_400.0])
def test_following_tells_the_same_whatever_the_machines_clock_says(skew: float, profile: Profile, store: Store) -> None:
    """A machine with a wrong clock continues for a lost one, whose clock was right; then its stage fails."""
    create_run(store, RUN, profile)
    silent(Ledger(store, RUN, 1))
    wrong = Ledger(store, RUN, 2, lambda: time.time() + skew)
    begun(wrong)
    text = io.StringIO()
    end = threading.Timer(0.3, wrong.append, ["stage_failed"], {"stage": "data", "seconds": 7.0, "code": 1})
    end.start()
    follow(store, RUN, Console(file=text, width=200), every=0.01)
    end.join()
    running, failed, summary = text.getvalue().splitlines()
    assert running.split()[:2] == ["data", "running"] and float(running.split()[2]) < 5
    assert failed.split()[:4] == ["data", "failed", "7.0", "s"] and "attempt 2, 1 preempted" in failed
    assert summary.startswith("failed  ·  spent $0.00")


def test_all_runs_are_listed_and_a_bad_one_hides_no_other(profile: Profile, store: Store) -> None:
    for run, life in (("a", begun), ("b", failed(1, "StageError: it broke"))):
        create_run(store, run, profile)
        life(Ledger(store, run, 1))
    store.put("runs/old/profile.json", b'{"name": "of another version"}')
    store.put("runs/stray/note", b"no run")
    found = read_runs(store)
    assert {run["run"]: run["state"] for run in runs_json(found)} == {
        "old": "unreadable",
        "a": "running",
        "b": "failed",
    }
    text = io.StringIO()
    print_runs(found, store.url, Console(file=text, width=200))
    assert all(word in text.getvalue() for word in ("unreadable", "running", "failed"))
    text = io.StringIO()
    print_runs([], store.url, Console(file=text, width=200))
    assert "no runs in" in text.getvalue() and "make rehearse" in text.getvalue()


def test_logs_are_the_newest_attempts_and_grow(store: Store) -> None:
    with pytest.raises(DataError, match=r"no log of run run-1.*sky jobs logs --name cortex-run-1"):
        read_logs(store, RUN)
    store.put(log_key(RUN, 2, "data"), b"old\n")
    long = b"".join(b"line %d\n" % number for number in range(5000))
    store.put(log_key(RUN, 7, "sft"), long[:20_000])
    assert read_logs(store, RUN) == long[:20_000]
    assert read_logs(store, RUN, "data") == b"old\n"
    texts = iter([long[5_000:25_000], long[10_000:40_000], long[10_000:40_000]])
    looks = iter([False, False, True])
    shown = b"".join(
        follow_logs(
            store, RUN, None, lambda: next(looks), sleep=lambda _: store.put(log_key(RUN, 7, "sft"), next(texts))
        )
    )
    assert shown == b"==> sft, epoch 7 <==\n" + long[:40_000]


@pytest.mark.parametrize("verb", ["status", "cost", "logs"])
def test_a_run_that_does_not_exist_is_said_with_those_that_do(
    verb: str, profile: Profile, store: Store, cortex: Cortex
) -> None:
    create_run(store, "mine", profile)
    done = cortex(verb, "mien", CORTEX_BUCKET=store.url)
    assert done.returncode == 2
    assert done.stderr == f"error: no run 'mien' in {store.url}: the newest here: mine\n"


def test_for_programs_status_and_runs_are_json(profile: Profile, store: Store, cortex: Cortex) -> None:
    create_run(store, RUN, profile)
    begun(Ledger(store, RUN, 1))
    shown, listed = (cortex(*words, "--json", CORTEX_BUCKET=store.url) for words in (("status", RUN), ("runs",)))
    assert json.loads(shown.stdout)["stage"] == "data", shown.stderr
    assert [run["state"] for run in json.loads(listed.stdout)] == ["running"], listed.stderr
