"""A run's cost, from events of machines that live and end in every way."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.runs.budget import cap, charges, over_budget, spent
from cortex.runs.ledger import Event

HOUR = 3600.0


def event(kind: str, time: float, epoch: int = 1, machine: str = "i-1", since: float = 0.0, **others: Any) -> Event:
    return {"event": kind, "time": time, "epoch": epoch, "machine": machine, "since": since, **others}


def started(time: float, since: float, *, epoch: int = 1, machine: str = "i-1", price: float = 10.0) -> Event:
    return event("machine_started", time, epoch, machine, since, dollars_per_hour=price, cloud="aws", spot=True)


def alive(time: float, since: float, *, epoch: int = 1, machine: str = "i-1") -> Event:
    return event("machine_alive", time, epoch, machine, since, until=time)


def ended(time: float, since: float, *, epoch: int = 1, machine: str = "i-1") -> Event:
    return event("machine_ended", time, epoch, machine, since, until=time, reason="done")


def progress(time: float, epoch: int = 1) -> Event:
    return {"event": "progress", "time": time, "epoch": epoch, "step": 1, "total": 2}


def standing(until: float, since: float, *, machine: str = "i-1", price: float = 10.0) -> Event:
    return event("machine_standing", until, 0, machine, since, until=until, dollars_per_hour=price, cloud="aws")


def gone(until: float, since: float, *, machine: str = "i-1", price: float = 10.0) -> Event:
    return standing(until, since, machine=machine, price=price) | {"event": "machine_gone"}


CASES: dict[str, tuple[list[Event], float]] = {
    "nothing": ([], 0.0),
    "one that ended, from its launch on": ([started(600, 0), ended(HOUR, 0)], 10.0),
    "one that only began": ([started(1800, 0)], 5.0),
    "killed: to its last sign of life": ([started(60, 0), alive(HOUR / 2, 0)], 5.0),
    "killed: any later event of its epoch is a sign": ([started(60, 0), alive(120, 0), progress(HOUR)], 10.0),
    "an event of an epoch that is not its own is none": ([started(60, 0), alive(1800, 0), progress(HOUR, 7)], 5.0),
    "its stages' epochs are its own, once it wrote under them": (
        [started(60, 0), alive(120, 0, epoch=2), progress(HOUR, epoch=2)],
        10.0,
    ),
    "two attempts of one instance count from its launch, once": (
        [started(60, 0), alive(120, 0), started(1800, 0, epoch=2), ended(HOUR, 0, epoch=2)],
        10.0,
    ),
    "two of a host with a pause between them": (
        [started(0, 0), ended(1800, 0), started(9000, 9000, epoch=2), ended(10800, 9000, epoch=2)],
        10.0,
    ),
    "two of a host that overlap": (
        [started(0, 0), started(900, 900, epoch=2), ended(1800, 0), ended(HOUR, 900, epoch=2)],
        10.0,
    ),
    "two machines at once add up": (
        [
            started(0, 0),
            started(0, 0, epoch=2, machine="i-2", price=2.0),
            ended(HOUR, 0),
            ended(HOUR, 0, epoch=2, machine="i-2"),
        ],
        12.0,
    ),
    "a price entered later holds for all its time": (
        [started(0, 0), started(60, 0, epoch=2), started(120, 1, epoch=3, price=20.0), ended(HOUR, 0, epoch=2)],
        20.0,
    ),
    "a clock that is behind costs nothing less than nothing": ([started(5, 100), alive(50, 100)], 0.0),
    "signs of a machine that never said it began": ([alive(HOUR, 0)], 0.0),
    "a machine that the cloud alone has seen": ([standing(900, 0), standing(1800, 0)], 5.0),
    "one that failed to launch, until it was taken away": ([standing(900, 0), gone(HOUR, 0)], 10.0),
    "two that failed, one after the other": ([gone(1800, 0), gone(HOUR, 1800, machine="i-2")], 10.0),
    "what the cloud saw before the program began counts once": (
        [standing(120, 0), started(60, 0), ended(1800, 0)],
        5.0,
    ),
    "until the cloud took it away, at the machine's own price": (
        [started(60, 0, price=20.0), ended(1800, 0), gone(HOUR, 0, price=1.0)],
        20.0,
    ),
    "the cloud's word under a machine's epoch is no sign of that machine's life": (
        [started(60, 0), alive(1800, 0), gone(HOUR, 1800, machine="i-2", price=0.0) | {"epoch": 1}],
        5.0,
    ),
    "gone before it came costs nothing": ([gone(50, 100)], 0.0),
}


def test_a_machine_says_whether_it_is_gone_and_whether_a_program_began_on_it() -> None:
    events = [started(60, 0), alive(120, 0), standing(60, 0, machine="i-2"), gone(90, 0, machine="i-3")]
    found = {charge.machine: (charge.open, charge.reached) for charge in charges(events)}
    assert found == {"i-1": (True, True), "i-2": (True, False), "i-3": (False, False)}
    (closed,) = charges([*events[:2], gone(130, 0)])
    assert (closed.open, closed.reached, closed.until, closed.spot) == (False, True, 130, True)


@pytest.mark.parametrize("name", CASES)
def test_what_is_spent(name: str) -> None:
    events, dollars = CASES[name]
    assert spent(events) == pytest.approx(dollars)
    assert spent([*events, *events]) == pytest.approx(dollars), "doubled events cost nothing"
    assert spent(events[::-1]) == pytest.approx(dollars), "nor does their order"


def test_a_charge_says_which_machine_where_and_whether_it_still_works() -> None:
    lost, at_work = charges([started(60, 0), ended(1800, 0), started(HOUR, HOUR, epoch=2, machine="i-2")])
    assert (lost.machine, lost.cloud, lost.spot, lost.open, lost.until, lost.dollars) == (
        "i-1",
        "aws",
        True,
        False,
        1800,
        5.0,
    )
    assert (at_work.machine, at_work.open, at_work.dollars) == ("i-2", True, 0.0)
    assert lost.to_json()["dollars"] == 5.0


@pytest.mark.parametrize(
    ("raised", "limit"), [([], 100.0), ([(5.0, 150.0)], 150.0), ([(9.0, 120.0), (5.0, 150.0)], 120.0)]
)
def test_the_cap_is_the_profiles_or_what_it_was_last_raised_to(raised: list[tuple[float, float]], limit: float) -> None:
    assert cap([{"event": "budget_raised", "time": at, "dollars": to} for at, to in raised], 100.0) == limit


def test_a_run_at_its_cap_is_told_how_to_go_on() -> None:
    error = over_budget("run-1", 12.345, 12.0)
    assert error.exit_code == 76
    assert "spent $12.35 of its budget of $12.00" in str(error) or "spent $12.34 of" in str(error)
    assert "cortex resume run-1 --budget DOLLARS" in str(error)


slowly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Event], dict[str, list[tuple[int, int]]]]:
    """Attempts on a few machines: their events, and the whole seconds that each machine's attempts cover."""
    events: list[Event] = []
    spans: dict[str, list[tuple[int, int]]] = {}
    for epoch in range(1, draw(st.integers(1, 6)) + 1):
        machine = draw(st.sampled_from(["a", "b", "c"]))
        since = draw(st.integers(0, 500))
        signs = sorted(draw(st.lists(st.integers(since, since + 300), min_size=1, max_size=4)))
        if any(since == start for start, _ in spans.get(machine, [])):
            continue
        events += [started(since, since, epoch=epoch, machine=machine, price=HOUR)]
        events += [alive(at, since, epoch=epoch, machine=machine) for at in signs]
        if draw(st.booleans()):
            events.append(ended(signs[-1], since, epoch=epoch, machine=machine))
        spans.setdefault(machine, []).append((since, signs[-1]))
    return draw(st.permutations(events)), spans


@slowly
@given(lives())
def test_each_second_of_each_machine_is_paid_for_once(
    life: tuple[list[Event], dict[str, list[tuple[int, int]]]],
) -> None:
    events, spans = life
    seconds = sum(len({at for start, end in each for at in range(start, end)}) for each in spans.values())
    assert spent(events) == pytest.approx(seconds)


@slowly
@given(lives(), st.data())
def test_a_later_look_never_finds_less_spent(
    life: tuple[list[Event], dict[str, list[tuple[int, int]]]], data: st.DataObject
) -> None:
    events = sorted(life[0], key=lambda event: event["time"])
    known = data.draw(st.integers(0, len(events)))
    assert spent(events[:known]) <= spent(events) + 1e-9


DAY = 24 * HOUR


@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, -HOUR, 7 * HOUR, DAY, 30 * DAY, 400 * DAY])
def test_a_clock_that_is_set_costs_nothing_and_takes_nothing_back(jump: float) -> None:
    base = 1.7e9
    events = [started(base, base, price=30.0), alive(base + 60, base)]
    before = spent(events)
    events.append(alive(base + 60 + jump, base))
    assert spent(events) == pytest.approx(before) == 0.5
    events.append(progress(base + 60 + jump))
    assert spent(events) == pytest.approx(before)
    events.append(alive(base + 120, base))
    assert spent(events) == pytest.approx(1.0)


@pytest.mark.parametrize("ahead", [-400 * DAY, -DAY, -60.0, 0.0, 60.0, DAY, 400 * DAY])
def test_what_a_sign_counts_itself_holds_whatever_its_clock_says(ahead: float) -> None:
    base = 1.7e9
    events = [started(base + ahead, base, price=30.0) | {"until": base, "seconds": 0.0}]
    for hours in (1, 50):  # a reader leaves out most signs of a long run
        events.append(
            alive(base + ahead + hours * HOUR, base) | {"until": base + hours * HOUR, "seconds": hours * HOUR}
        )
        assert spent(events) == pytest.approx(30.0 * hours)
        assert spent([*events, progress(base + ahead + hours * HOUR + 36)]) == pytest.approx(30.0 * hours)


def test_the_next_sign_takes_nothing_back_of_a_machine_whose_clock_the_bucket_corrects() -> None:
    """The first sign came to the bucket at once; the second came half a minute late, just after a stage's event."""
    events = [started(0, 0) | {"until": 0.0, "seconds": 0.0}, alive(90, 0) | {"until": 60.0, "seconds": 60.0}]
    word = progress(89)
    assert spent([events[0], word]) <= spent([*events, word])
