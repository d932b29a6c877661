import json
import math
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store, StoreError
from cortex.limits import LEDGER_BYTES
from cortex.runs.events import VALUES, parse
from cortex.runs.ledger import BATCH_BYTES, Ledger, LedgerReader


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_events_come_in_the_order_of_epochs_and_of_writing_whatever_clocks_say(store: Store) -> None:
    clock = Clock()
    first, second = Ledger(store, "a", 1, clock), Ledger(store, "a", 2, clock)
    meter = Ledger(store, "a", 1, clock, name="meter")
    for number in range(6):
        clock.now -= 100
        (second, first, meter)[number % 3].append("step", number=number)
    events = LedgerReader(store, "a").new_events()
    assert [event["number"] for event in events] == [1, 4, 2, 5, 0, 3]
    assert [event["epoch"] for event in events] == [1, 1, 1, 1, 2, 2]


def test_each_event_comes_with_the_moment_at_which_the_bucket_took_it(store: FolderStore) -> None:
    for epoch, wrong in ((1, -86400.0), (2, 86400.0 * 365)):
        Ledger(store, "a", epoch, lambda wrong=wrong: 1e9 + wrong).append("one")
    for number, key in enumerate(sorted(entry.key for entry in store.list("runs/a/ledger"))):
        os.utime(store.local_path(key), (5e8, 5e8 + number))
    assert [entry.written for entry in LedgerReader(store, "a").new_entries()] == [5e8, 5e8 + 1]


def test_a_reader_sees_every_event_once(store: Store) -> None:
    reader, ledger = LedgerReader(store, "a"), Ledger(store, "a", 1)
    assert reader.new_events() == []
    ledger.append("one")
    ledger.append("two", value=2.5)
    assert [event["event"] for event in reader.new_events()] == ["one", "two"]
    ledger.append("three")
    assert [event["event"] for event in reader.new_events()] == ["three"]
    assert reader.new_events() == []
    assert len(LedgerReader(store, "a").new_events()) == 3


def test_progress_is_held_back_but_never_lost(store: Store) -> None:
    clock = Clock()
    reader, ledger = LedgerReader(store, "a"), Ledger(store, "a", 1, clock)
    for step in range(10):
        ledger.progress(step=step, total=10)
    assert len(store.list("runs/a/ledger")) == 1
    assert [event["step"] for event in reader.new_events()] == [0]
    clock.now += 1
    ledger.progress(step=10, total=10)
    assert [event["step"] for event in reader.new_events()] == list(range(1, 11))
    ledger.progress(step=11, total=11)
    ledger.append("stage_finished", seconds=1.0)
    assert [event["event"] for event in reader.new_events()] == ["progress", "stage_finished"]


def test_what_an_outage_held_back_goes_into_objects_that_readers_take(store: Store) -> None:
    ledger = Ledger(store, "a", 1)
    metrics = {f"a/metric/with/a/name/{number}": number / 7 for number in range(60)}
    for step in range(4000):
        ledger.hold("progress", step=step, total=4000, **metrics)
    ledger.append("preempted", stage="sft")
    objects = store.list("runs/a/ledger")
    assert sum(entry.size for entry in objects) > LEDGER_BYTES, "one object of it would be refused"
    assert max(entry.size for entry in objects) <= BATCH_BYTES
    reader = LedgerReader(store, "a")
    found = reader.new_events()
    assert [event["step"] for event in found[:-1]] == list(range(4000))
    assert found[-1]["event"] == "preempted" and not reader.damaged


def test_a_reader_beside_writers_never_meets_half_an_event(store: Store) -> None:
    def write(epoch: int) -> None:
        ledger = Ledger(store, "a", epoch)
        for number in range(60):
            ledger.append("step", number=number, text="x" * 5000)

    writers = [threading.Thread(target=write, args=(epoch,)) for epoch in (1, 2)]
    reader = LedgerReader(store, "a")
    events = []
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        events += reader.new_events()
    events += reader.new_events()
    for epoch in (1, 2):
        assert sorted(event["number"] for event in events if event["epoch"] == epoch) == list(range(60))
    assert {len(event["text"]) for event in events} == {5000}


class Losing(FolderStore):
    """A folder that loses the answer to a creation, or the creation itself."""

    lost, refused = 0, 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.refused:
            self.refused -= 1
            raise StoreError("it does not answer")
        created = super().put_if_absent(key, data)
        if self.lost:
            self.lost -= 1
            raise StoreError("the answer was lost")
        return created


@pytest.mark.parametrize("lost", [0, 1, 3])
@pytest.mark.parametrize("refused", [0, 2])
def test_no_event_is_lost_or_doubled_to_a_follower_where_an_answer_is_lost(
    lost: int, refused: int, tmp_path: Path
) -> None:
    store = Losing(tmp_path)
    store.lost, store.refused = lost, refused
    ledger, reader, followed = Ledger(store, "a", 1), LedgerReader(store, "a"), list[int]()
    for number in range(8):
        with suppress(StoreError):
            ledger.append("step", number=number)
        followed += [event["number"] for event in reader.new_events()]
    assert followed == list(range(8))


def test_two_writers_of_one_name_replace_nothing_of_each_other(store: Store) -> None:
    for number in range(3):  # as programs that find a job each, after a killed launch
        Ledger(store, "a", 1, name="found").append("step", number=number)
    assert [event["number"] for event in LedgerReader(store, "a").new_events()] == [0, 1, 2]


def test_a_writer_that_is_ahead_of_the_bucket_is_not_believed(store: Store) -> None:
    Ledger(store, "a", 1, lambda: time.time() + 86400).append("step")
    [event] = LedgerReader(store, "a").new_events()
    assert event["time"] == pytest.approx(time.time(), abs=10)


WELL: dict[str, dict[str, Any]] = {
    "machine_started": {"machine": "i-1", "since": 1.0, "dollars_per_hour": 2.0, "spot": True, "zone": None},
    "machine_alive": {"machine": "i-1", "since": 1.0, "until": 2.0, "seconds": 1.0},
    "machine_ended": {"machine": "i-1", "since": 1.0},
    "budget_raised": {"dollars": 5},
    "budget_warning": {"spent": 1.0, "budget": 5.0},
    "stage_started": {"stage": "sft"},
    "stage_finished": {"stage": "sft", "seconds": 1.5, "manifest": "ab"},
    "stage_failed": {"stage": "sft", "seconds": 1.5, "code": 75, "reason": "x"},
    "progress": {"step": 1, "total": 2, "loss": math.nan},
    "validated": {"stage": "grpo", "step": 1, "values": {"brier": 0.2, "kl": math.inf}},
    "unheard of": {"what": ["ever"]},
}
ODD = (math.nan, math.inf, -1, -0.5, 1e308, 10**30, "1", None, True, [], {}, [1])


def line(kind: str, **values: Any) -> str:
    return json.dumps({"event": kind, "epoch": 1, "time": 1.0} | values)


@pytest.mark.parametrize("kind", WELL)
def test_an_event_that_says_all_is_taken_and_one_that_lacks_a_value_is_damaged(kind: str) -> None:
    well = WELL[kind]
    assert len(parse([line(kind, **well)])) == 1
    for name, check in VALUES.get(kind, {}).items():
        if not name.endswith("?"):
            assert parse([line(kind, **{key: value for key, value in well.items() if key != name})]) == []
        taken = [value for value in ODD if parse([line(kind, **(well | {name.removesuffix("?"): value}))])]
        assert all(check(value) for value in taken)
    assert parse([line(kind, **(well | {"epoch": value})) for value in ODD]) == []
    assert (
        parse([line(kind, **(well | {"time": value})) for value in (math.nan, math.inf, 1e300, "1", None, True, [])])
        == []
    )


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *(("machine_started", "dollars_per_hour", value) for value in (math.nan, math.inf, -1.0, "30", None, True)),
        *(("budget_raised", "dollars", value) for value in (math.nan, math.inf, -5, 0, "9", None)),
        *(("machine_alive", "seconds", value) for value in (math.nan, -1.0, math.inf, "x")),
        *(("machine_started", "machine", value) for value in (None, 7, ["i-1"])),
        *(("progress", "loss", value) for value in ("low", None, [], 10**400)),
        *(("validated", "values", value) for value in ("low", None, [], {"brier": "low"}, {"brier": None})),
    ],
)
def test_a_value_that_would_turn_a_cap_off_or_break_a_reader_is_damage(kind: str, name: str, value: Any) -> None:
    text = line(kind, **WELL[kind]).replace("}", f", {json.dumps(name)}: {json.dumps(value)}}}")
    assert parse([text]) == []
