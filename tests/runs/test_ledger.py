import os
import threading
from dataclasses import dataclass

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store
from cortex.runs.ledger import Ledger, LedgerReader


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_events_of_two_writers_come_in_the_order_of_their_times(store: Store) -> None:
    clock = Clock()
    first, second = (Ledger(store, "a", epoch, clock) for epoch in (1, 2))
    for number in range(6):
        clock.now += 1
        (first, second)[number % 2].append("step", number=number)
    events = LedgerReader(store, "a").new_events()
    assert [event["number"] for event in events] == list(range(6))
    assert [event["epoch"] for event in events] == [1, 2] * 3


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
    ledger.append("stage_finished")
    assert [event["event"] for event in reader.new_events()] == ["progress", "stage_finished"]


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
