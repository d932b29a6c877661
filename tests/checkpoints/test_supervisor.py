import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.drill.warmth import warm
from cortex.runs.deadline_standing import Deadline
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.price_list import Offer, PriceList
from cortex.settings import CHECKOUT
from cortex.tracking.curve import curve
from tests.checkpoints.conftest import RUN
from tests.checkpoints.toy import Task, chain
from tests.runs.metadata_server import AwsServer

pytestmark = pytest.mark.integration

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def task(kept: str, tmp_path: Path) -> Task:
    return Task(url=kept, work=str(tmp_path / "work"))


@pytest.fixture
def local(tmp_path: Path) -> Task:
    """A task for tests in which the kind of bucket makes no difference."""
    return Task(url=str(tmp_path / "bucket"), work=str(tmp_path / "work"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An interpreter that has imported all that a stage and its trainer need: a start costs next to nothing."""
    log = tmp_path_factory.mktemp("warm") / "warm.log"
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with warm(
        Path(sys.executable), ("cortex.checkpoints.supervisor", "tests.checkpoints.conftest"), variables, log
    ) as made:
        yield made / "python"


@pytest.fixture
def start(tmp_path: Path, python: Path) -> Start:
    """Begin a stage as a program, in a process group of its own."""

    def begin(task: Task) -> "subprocess.Popen[str]":
        told = tmp_path / "toy.json"
        told.write_text(json.dumps(asdict(task)))
        return subprocess.Popen(
            [python, "-m", "tests.checkpoints.toy", told],
            env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )

    return begin


def events(task: Task, name: str) -> list[Event]:
    return [event for event in LedgerReader(open_store(task.url), RUN).new_events() if event["event"] == name]


def steps_kept(task: Task) -> set[int]:
    keys = [entry.key.split("/") for entry in open_store(task.url).list(f"runs/{RUN}/sft/checkpoints")]
    return {int(parts[4]) for parts in keys if parts[-1] == "manifest.json"}


def await_step(process: "subprocess.Popen[str]", task: Task, step: int) -> None:
    end = time.monotonic() + 30
    while not any(event["step"] >= step for event in events(task, "checkpoint_committed")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def followed(output: IO[str], steps: int) -> Iterator[str]:
    """Log lines of steps, up to the one before the last step."""
    while (line := output.readline()) and not line.startswith(f"step {steps}"):
        if line.startswith("step "):
            yield line


def test_undisturbed_it_ends_and_keeps_the_newest_and_the_best(task: Task, start: Start) -> None:
    process = start(replace(task, step_seconds=0.05))  # so that sending has time while it trains
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, (process.returncode, output, error)
    assert output.splitlines()[-1] == f"model {chain(task.steps).hex()}"
    committed = [event["step"] for event in events(task, "checkpoint_committed")]
    assert committed == [5, 10, 15, 20, 25, 30, 35]  # none at the end, where the model itself is written
    assert not events(task, "checkpoint_failed")
    # The loss falls, so that the newest is also the best. Sending skips what newer ones have overtaken; the end waits
    # neither for the last of them nor for the pruning after it.
    kept = steps_kept(task)
    assert kept <= set(committed) and 1 <= len(kept) <= task.keep + 1 if "s3:" in task.url else kept == {30, 35}


def test_the_best_validated_checkpoint_is_kept_and_sent_and_all_is_in_the_ledger(task: Task, start: Start) -> None:
    process = start(replace(task, step_seconds=0.05, validate_steps=5, best_step=10))
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, (process.returncode, output, error)
    assert {event["step"]: event["values"]["loss"] for event in events(task, "validated")} == {
        step: abs(step - 10) for step in range(5, 41, 5)
    }
    assert "sft step 10: validated: loss 0" in output
    assert 10 in steps_kept(task), "newer ones have overtaken it, and it is the best"
    assert events(task, "progress")[-1]["loss"] == 1 / 40


def test_killed_and_continued_it_is_drawn_as_one_curve(task: Task, start: Start) -> None:
    task = replace(task, step_seconds=0.03, validate_steps=5)
    process = start(task)
    await_step(process, task, 10)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    shutil.rmtree(Path(task.work))  # the next machine has the bucket alone
    assert start(task).wait(60) == 0
    store, folder = open_store(task.url), f"runs/{RUN}/sft/tracking"
    [key] = [entry.key for entry in store.list(folder)]
    data = store.get(key)
    assert key == f"{folder}/tensorboard/events.out.tfevents.0000000000.{RUN}-sft"
    points = curve(LedgerReader(store, RUN).new_events(), "sft")
    assert [point.step for point in points if "loss" in point.values] == list(range(1, task.steps + 1))
    assert steps_drawn(data) == [point.step for point in points if "loss" in point.values]
    assert data.count(b"validation/loss") == 8 and data.count(b"reward/format") == 8


def steps_drawn(data: bytes) -> list[int]:
    """The steps of an event file's records; TensorBoard's own reader is asked in `tracking/test_tensorboard.py`."""
    found: list[int] = []
    at = 0
    while at < len(data):
        [length] = struct.unpack_from("<Q", data, at)
        record = data[at + 12 : at + 12 + length]
        if record[9:10] == b"\x10" and b"validation/" not in record:  # after the time, eight bytes behind their tag
            found.append(record[10])
        at += 16 + length
    return found


def test_killed_at_random_moments_it_ends_with_the_same_model(task: Task, start: Start) -> None:
    """The stage is killed without notice: in the middle of a step, a save, a hash, a rename, an upload."""
    rng, kills = random.Random(7), 0
    task = replace(task, weight_bytes=4_000_000, step_seconds=0.02, steps=24)
    for _ in range(40):
        process = start(task)
        steps = rng.randrange(16)
        assert process.stdout
        lines = [line for line, _ in zip(followed(process.stdout, task.steps), range(steps), strict=False)]
        if len(lines) == steps:
            time.sleep(rng.uniform(0, 0.05))
            kills += process.poll() is None
            with suppress(ProcessLookupError):  # it may have come to its end
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            continue
        output, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        assert output.splitlines()[-1] == f"model {chain(task.steps).hex()}"
        break
    else:
        pytest.fail("it never came to its end")
    assert kills >= 2
    assert not events(task, "checkpoint_quarantined")


def test_with_notice_no_step_is_lost(task: Task, start: Start) -> None:
    process = start(replace(task, save_steps=1000, step_seconds=0.05))
    while not events(task, "progress"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "SIGTERM: the trainer left, all it had saved is safe" in error
    [left] = events(task, "checkpoint_committed")
    made = max(event["step"] for event in events(task, "progress"))
    assert left["step"] == made
    assert steps_kept(task) == {made}
    assert events(task, "preempted")[0]["settled"]

    output, _ = start(replace(task, step_seconds=0.0)).communicate(timeout=60)
    assert f"resuming from checkpoint-{made}" in output
    assert output.splitlines()[-1] == f"model {chain(task.steps).hex()}"


def test_a_trainer_that_does_not_leave_is_ended_in_time(
    local: Task, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(replace(local, fault="ignores notices", step_seconds=0.2, steps=1000, notice_seconds=4))
    await_step(process, local, 5)
    os.killpg(process.pid, signal.SIGTERM)
    began = time.monotonic()
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 4.5
    assert process.returncode == 75, error
    assert max(steps_kept(local)) >= 5


def test_a_hung_trainer_shows_its_stacks_and_is_ended_and_not_for_ever_begun_again(local: Task, start: Start) -> None:
    for code in (75, 75, 1):
        process = start(replace(local, fault="hangs", fault_step=3, hang_seconds=1))
        output, error = process.communicate(timeout=60)
        assert process.returncode == code, error
        assert "the stack of every thread" in output
        assert "no step for" in error
    assert "hung 3 times without a new checkpoint" in error
    assert len(events(local, "hung")) == 3
    # Without the fault, the next start continues to the end.
    process = start(local)
    assert process.communicate(timeout=60)[0].splitlines()[-1] == f"model {chain(local.steps).hex()}"


def test_only_a_trainers_own_processes_are_asked_for_their_stacks(local: Task, start: Start) -> None:
    process = start(replace(local, fault="names others", fault_step=3, hang_seconds=1))
    output, error = process.communicate(timeout=60)
    assert process.returncode == 75, error  # this signal would have ended the process that it named
    assert "the stack of every thread" in output


def test_whoever_takes_the_run_over_ends_the_trainer_before(task: Task, start: Start) -> None:
    process = start(replace(task, steps=10_000, step_seconds=0.05))
    await_step(process, task, 5)
    began = time.monotonic()
    Lease.take(open_store(task.url), RUN)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 77
    assert time.monotonic() - began < 10
    assert "was taken over" in error


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("fails", 1, "the trainer exited with 3; its log says why"),
        ("lacks room", 78, "the disk is full: take a larger"),
        ("prints events", 1, "the trainer exited with 3; its log says why"),
    ],
)
def test_what_ends_a_trainer_is_said_and_what_it_saved_is_kept(
    fault: str, code: int, said: str, local: Task, start: Start
) -> None:
    process = start(Task(**{**asdict(local), "fault": fault}))
    _, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert said in error and "Traceback" not in error
    assert 10 in steps_kept(local)


def test_at_its_cap_a_run_saves_and_stops_and_once_raised_ends_with_the_same_model(task: Task, start: Start) -> None:
    store, capped = open_store(task.url), replace(task, steps=2000, save_steps=2000, step_seconds=0.05, budget=30.0)
    a_dollar_a_second = Offer(cloud="aws", region="r", instance_type="t", spot=True, dollars_per_hour=3600)
    PriceList(taken=0, offers=(a_dollar_a_second,)).write(store, RUN)
    # The machine began to cost before this process did.
    began = {"machine": "i-0", "since": time.time() - 28, "dollars_per_hour": 3600.0}
    Ledger(store, RUN, 0, name="meter").append("machine_started", **began)
    process = start(capped)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 76, error
    assert f"run {RUN} has spent $" in error and "of its budget of $30.00" in error
    made = max(event["step"] for event in events(task, "progress"))
    assert [event["step"] for event in events(task, "checkpoint_committed")][-1] == made < capped.steps
    assert steps_kept(task) == {made}
    assert [event["budget"] for event in events(task, "budget_spent")] == [30.0]
    assert "BudgetError" in events(task, "machine_ended")[-1]["reason"]

    refused = start(capped)
    assert refused.communicate(timeout=120)[0] == ""
    assert refused.returncode == 76
    assert max(event["step"] for event in events(task, "progress")) == made

    Ledger(store, RUN, Lease.take(store, RUN).epoch).append("budget_raised", dollars=1e6)
    output, error = start(replace(capped, step_seconds=0.0)).communicate(timeout=120)
    assert f"resuming from checkpoint-{made}" in output, error
    assert output.splitlines()[-1] == f"model {chain(capped.steps).hex()}"


def test_a_machine_on_demand_is_left_for_a_try_at_spot_with_all_saved(task: Task, start: Start) -> None:
    slow = replace(task, steps=2000, save_steps=500, step_seconds=0.05, budget=1e6)
    store = open_store(task.url)
    now = time.time()
    same = {"cloud": "aws", "region": "us-east-1", "instance_type": "p5.48xlarge"}
    offers = (Offer(**same, spot=True, dollars_per_hour=25), Offer(**same, spot=False, dollars_per_hour=55))
    PriceList(taken=0, offers=offers).write(store, RUN)
    deadline = Deadline(now + 3600, 1.0, 20.0, 20.0, {"sft": 1000.0}, ("sft",), True)
    Ledger(store, RUN, 0, name="launch").append("deadline_set", **deadline.entry())
    with AwsServer() as aws:
        # It has run for the four starts after which a try is due, and for half of the outage before it.
        aws.rent(datetime.fromtimestamp(now - 3000, UTC), spot=False)
        process = start(replace(slow, metadata=aws.url))
        _, error = process.communicate(timeout=120)
    assert process.returncode == 75, error
    made = max(event["step"] for event in events(task, "progress"))
    assert steps_kept(task) == {made} and made < slow.steps
    assert [event["decision"] for event in events(task, "deadline_decision")] == ["leave"]
    assert "MovedError: left on demand" in events(task, "machine_ended")[-1]["reason"]
    output, error = start(replace(slow, step_seconds=0.0)).communicate(timeout=120)
    assert f"resuming from checkpoint-{made}" in output, error
    assert output.splitlines()[-1] == f"model {chain(slow.steps).hex()}"


def test_a_trainer_without_the_kits_callback_is_not_taken_for_trained(local: Task, start: Start) -> None:
    process = start(replace(local, fault="says nothing"))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "without a word from the kit's callback" in error
