"""When something that stands counts as left over: the rule of `Standing.leftover`, on ledgers as runs write them."""

from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.fleet.names import run_label
from cortex.fleet.sweep.standing import GRACE, QUIET, standing, standings
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from cortex.runs.profile import Profile
from tests.artifacts.strategies import write
from tests.fleet.conftest import RUN

NOW = 1_000_000.0
OLD = NOW - 10 * QUIET
MINE, OTHER = "i-mine", "i-other"

Told = tuple[float, str, dict[str, Any]]


def tell(store: FolderStore, *told: Told) -> None:
    """Write a ledger: seconds before now, the event, what it holds."""
    now = NOW
    ledger = Ledger(store, RUN, 1, clock=lambda: now)
    for before, event, values in told:
        now = NOW - before
        ledger.append(event, **values)


def alive(before: float, machine: str = MINE) -> Told:
    return before, "machine_alive", {"machine": machine, "until": NOW - before}


LAUNCHED: Told = (9 * QUIET, "launched", {"job": 1})
CASES: dict[str, tuple[list[Told], float, str | None]] = {
    "it wrote a minute ago": ([LAUNCHED, alive(60)], OLD, None),
    "it wrote nothing for long, though it should": (
        [LAUNCHED, alive(QUIET + 60)],
        OLD,
        "not heard of since 61 min ago",
    ),
    "it went silent while another of the run is alive": ([alive(3 * QUIET), alive(60, OTHER)], OLD, "3 h ago"),
    "it does not write, and its run is alive": ([alive(60, OTHER)], OLD, None),
    "it boots, and its run was silent": ([LAUNCHED], NOW - 600, None),
    "it never wrote, long after its run's last word": ([LAUNCHED], OLD, "not heard of since 9 h ago"),
    "nothing was ever written": ([], OLD, "not heard of at all"),
    "it said goodbye just now": ([alive(90), (60, "machine_ended", {"machine": MINE})], OLD, None),
    "it said goodbye": (
        [alive(GRACE + 90), (GRACE + 60, "machine_ended", {"machine": MINE})],
        OLD,
        "said that it ends",
    ),
    "its run was stopped just now": ([alive(90), (60, "stopped", {"job": 1})], OLD, None),
    "its run was stopped": ([alive(GRACE + 90), (GRACE + 60, "stopped", {"job": 1})], OLD, "was stopped 16 min ago"),
    "its run was torn down": ([alive(9000), (8000, "teardown", {"machines": []})], OLD, "was torn down 2 h ago"),
    "its run spent its budget": ([alive(2000), (1900, "budget_spent", {"spent": 9})], OLD, "has spent its budget"),
    "it was launched again after it was stopped": (
        [(8000, "stopped", {}), (7000, "launched", {}), alive(60)],
        OLD,
        None,
    ),
    "it was started after the end": ([(8000, "stopped", {"job": 1})], NOW - 600, None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_over(name: str, store: FolderStore) -> None:
    events, since, expected = CASES[name]
    tell(store, *events)
    why = standing(store, RUN).leftover(MINE, since, NOW)
    assert (why is None) == (expected is None) and (expected or "") in (why or ""), why


@pytest.mark.parametrize(("before", "left"), [(GRACE - 60, False), (GRACE + 60, True)])
def test_a_released_run_has_a_quarter_of_an_hour_to_give_its_machines_back(
    before: float, left: bool, store: FolderStore, tmp_path: Path
) -> None:
    tell(store, alive(before + 30), (before, "stage_finished", {"stage": "release", "seconds": 1.0}))
    publish(write(tmp_path / "r", {"x": b"1"}), store, f"runs/{RUN}/release", kind="release")
    why = standing(store, RUN).leftover(MINE, OLD, NOW)
    assert bool(why) is left and (not left or "is released" in str(why))


def test_runs_are_known_by_the_label_that_their_machines_bear(store: FolderStore, profile: Profile) -> None:
    create_run(store, "Demo_1", profile)
    found = standings(store, {run_label("Demo_1"), "of-another-bucket"})
    assert list(found) == [run_label("Demo_1")] and found[run_label("Demo_1")].run == "Demo_1"
