"""The rule of `Standing.judge` for left-over machines, disks and addresses, on ledgers as runs write them."""

import os
import time
from pathlib import Path
from typing import Any, cast

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.fleet.clouds.job_names import run_label
from cortex.fleet.sweep.standing import CUT_OFF, GRACE, QUIET, SERVED_GRACE, Kind, standing, standings
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger, folder
from tests.artifacts.strategies import write
from tests.fleet.conftest import RUN

NOW = 1_000_000.0
OLD = NOW - 10 * QUIET
MINE, OTHER = "i-mine", "i-other"

Told = tuple[float, str, dict[str, Any]]

SKEWS = [0.0, *(sign * size for size in (5, 300, 3600, 86400, 30 * 86400) for sign in (1, -1))]
"""Seconds by which a writer's clock is ahead of the bucket's."""


def tell(store: FolderStore, *told: Told, skew: float = 0.0) -> None:
    """Write a ledger, each machine under its own epoch: seconds before now, the event, its values.

    The bucket's times are right. The writers' own clocks are wrong, half of them in each direction.
    """
    now = 0.0
    mine = Ledger(store, RUN, 1, clock=lambda: now + skew)
    others = Ledger(store, RUN, 2, clock=lambda: now - skew)
    for before, event, values in told:
        now = NOW - before
        there = {entry.key for entry in store.list(folder(RUN))}
        (others if OTHER in values.values() else mine).append(event, **values)
        (written,) = {entry.key for entry in store.list(folder(RUN))} - there
        os.utime(store.local_path(written), (now, now))


def alive(before: float, machine: str = MINE) -> Told:
    return before, "machine_alive", {"machine": machine, "until": NOW - before}


def began(before: float, stage: str, machine: str = MINE) -> tuple[Told, Told]:
    """A stage begins, and its machine gives a sign of life."""
    return (before, "stage_started", {"stage": stage, "by": machine}), alive(before, machine)


STARTED = {"machine": MINE, "since": 0.0, "dollars_per_hour": 1.0}
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
    "it said goodbye, and the next program of its task began": (
        [
            (3 * QUIET, "machine_started", STARTED),
            (2 * QUIET, "machine_ended", {"machine": MINE}),
            (2 * QUIET - 5, "machine_started", STARTED),
            alive(60),
        ],
        OLD,
        None,
    ),
    "it began again and said goodbye again": (
        [
            (3 * QUIET, "machine_ended", {"machine": MINE}),
            (2 * QUIET, "machine_started", STARTED),
            (GRACE + 60, "machine_ended", {"machine": MINE}),
        ],
        OLD,
        "said that it ends 16 min ago",
    ),
    "its run was stopped just now": ([alive(90), (60, "stopped", {"job": 1})], OLD, None),
    "its run was stopped": ([alive(GRACE + 90), (GRACE + 60, "stopped", {"job": 1})], OLD, "was stopped 16 min ago"),
    "its run was torn down": ([alive(9000), (8000, "teardown", {"machines": []})], OLD, "was torn down 2 h ago"),
    "its run was given up": (
        [LAUNCHED, (GRACE + 60, "given_up", {"launches": 3, "dollars": 1.0, "reason": "no image"})],
        OLD,
        "was given up",
    ),
    "the cloud's word is no sign of its life": (
        [LAUNCHED, (60, "machine_standing", {**STARTED, "until": NOW - 60})],
        OLD,
        "not heard of since 9 h ago",
    ),
    "its run spent its budget": ([alive(2000), (1900, "budget_spent", {"spent": 9})], OLD, "has spent its budget"),
    "it publishes what it made, at its budget": ([(1900, "budget_spent", {"spent": 9}), alive(60)], OLD, None),
    "it published at its budget, and is silent": (
        [(1900, "budget_spent", {"spent": 9}), alive(GRACE + 60)],
        OLD,
        "has spent its budget 16 min ago",
    ),
    "its run was stopped, though it still writes": ([(1900, "stopped", {"job": 1}), alive(60)], OLD, "was stopped"),
    "it was launched again after it was stopped": (
        [(8000, "stopped", {}), (7000, "launched", {}), alive(60)],
        OLD,
        None,
    ),
    "it was started after the end": ([(8000, "stopped", {"job": 1})], NOW - 600, None),
}


KEPT: dict[str, tuple[list[Told], str, str | None]] = {
    "the release's machine is cut off": ([*began(2 * CUT_OFF, "release")], "machine", "only copy of its run's release"),
    "and said so before it was": (
        [*began(2 * CUT_OFF, "release"), (2 * CUT_OFF, "bucket_unreachable", {"stage": "release"})],
        "machine",
        "only copy of its run's release",
    ),
    "its release failed, and it said goodbye": (
        [
            *began(9000, "release"),
            (8000, "stage_failed", {"stage": "release"}),
            (8000, "machine_ended", {"machine": MINE}),
        ],
        "machine",
        "only copy of its run's release",
    ),
    "its run was stopped while it released": (
        [*began(9000, "release"), (8000, "stopped", {"job": 1})],
        "machine",
        "only copy of its run's release",
    ),
    "its disk outlived it": (
        [*began(9000, "release"), (8000, "stopped", {})],
        "disk",
        "only copy of its run's release",
    ),
    "an address holds nothing": ([*began(9000, "release"), (8000, "stopped", {})], "address", None),
    "its run was torn down, which asks for a copy": (
        [*began(9000, "release"), (8000, "teardown", {"machines": []})],
        "machine",
        None,
    ),
    "another machine releases": ([alive(9000), *began(8000, "release", OTHER)], "machine", None),
    "the one that releases could not say its name": (
        [alive(9000), (8000, "stage_started", {"stage": "release", "by": OTHER})],
        "machine",
        "only copy",
    ),
    "or said it by its host's": (
        [alive(9000), (8000, "stage_started", {"stage": "release"}), alive(8000, "ip-10-0-0-1")],
        "machine",
        "only copy",
    ),
    "it went silent in the middle of a stage": ([*began(2 * QUIET, "sft")], "machine", "cut off from the bucket"),
    "so long ago that it gave up": ([*began(CUT_OFF + 60, "sft")], "machine", None),
    "after its stage": (
        [*began(3 * QUIET, "sft"), (2 * QUIET, "stage_finished", {"stage": "sft"})],
        "machine",
        None,
    ),
    "while the bucket takes nothing of it": (
        [*began(3 * QUIET, "sft"), (2 * QUIET, "bucket_unreachable", {"stage": "sft"})],
        "machine",
        "cut off from the bucket",
    ),
    "and a later attempt has overtaken it": (
        [*began(3 * QUIET, "sft"), *began(2 * QUIET, "sft", OTHER)],
        "machine",
        None,
    ),
    "in the middle of a stage, and its run was stopped": (
        [*began(3 * QUIET, "sft"), (2 * QUIET, "stopped", {"job": 1})],
        "machine",
        None,
    ),
    "at its budget, while it publishes": (
        [*began(3 * QUIET, "sft"), (2 * QUIET, "budget_spent", {"spent": 9})],
        "machine",
        "cut off from the bucket",
    ),
    "nothing was ever written": ([], "machine", "its ledger is empty"),
}
"""Left-over machines, disks and addresses, with the reason why each may hold the only copy of something."""


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("name", CASES)
def test_what_is_left_over_whatever_the_writers_clocks_say(name: str, skew: float, store: FolderStore) -> None:
    events, since, expected = CASES[name]
    tell(store, *events, skew=skew)
    found = standing(store, RUN).judge("machine", MINE, since, NOW)
    assert (found is None) == (expected is None) and (expected or "") in (found.why if found else ""), found


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("name", KEPT)
def test_what_may_hold_the_only_copy_is_kept_whatever_the_writers_clocks_say(
    name: str, skew: float, store: FolderStore
) -> None:
    events, kind, expected = KEPT[name]
    tell(store, *events, skew=skew)
    found = standing(store, RUN).judge(cast(Kind, kind), MINE if kind == "machine" else "another", OLD, NOW)
    assert found, "it is not left over"
    assert (found.keeps is None) == (expected is None) and (expected or "") in (found.keeps or ""), found


@pytest.mark.parametrize(("before", "left"), [(GRACE - 60, False), (GRACE + 60, True)])
def test_a_released_run_has_a_quarter_of_an_hour_to_give_its_machines_back(
    before: float, left: bool, store: FolderStore, tmp_path: Path
) -> None:
    tell(store, *began(before + 30, "release"), (before, "stage_finished", {"stage": "release", "seconds": 1.0}))
    publish(write(tmp_path / "r", {"x": b"1"}), store, f"runs/{RUN}/release", kind="release")
    found = standing(store, RUN).judge("machine", MINE, OLD, NOW)
    assert bool(found) is left and (not found or ("is released" in found.why and found.over and not found.keeps))


def test_a_released_run_that_is_being_torn_down_has_its_time_from_there(store: FolderStore, tmp_path: Path) -> None:
    done = {"stage": "release", "seconds": 1.0}
    tell(store, (GRACE + 900, "stage_finished", done), (60, "teardown", {"machines": ["job/1"]}))
    publish(write(tmp_path / "r", {"x": b"1"}), store, f"runs/{RUN}/release", kind="release")
    assert standing(store, RUN).judge("machine", MINE, OLD, NOW) is None
    assert standing(store, RUN).judge("machine", MINE, OLD, NOW + GRACE)


def test_epochs_tell_what_came_after_what(store: FolderStore) -> None:
    later = Ledger(store, RUN, 5, clock=lambda: NOW - 9000)
    later.append("stopped", job=1)
    Ledger(store, RUN, 2, clock=lambda: NOW).append("launched", job=1)
    for entry in store.list(folder(RUN)):
        os.utime(store.local_path(entry.key), (NOW - 3600, NOW - 3600))
    found = standing(store, RUN).judge("machine", MINE, OLD, NOW)
    assert found and "was stopped" in found.why


def test_runs_are_known_by_the_label_that_their_machines_bear(store: FolderStore, profile: Profile) -> None:
    create_run(store, "Demo_1", profile)
    found = standings(store, {run_label("Demo_1"), "of-another-bucket"})
    assert list(found) == [run_label("Demo_1")] and found[run_label("Demo_1")].run == "Demo_1"


def test_what_cannot_be_read_is_said_and_kept(store: FolderStore, profile: Profile) -> None:
    for run in ("damaged", "forged", "Twin_1", run_label("Twin_1"), "fine"):
        create_run(store, run, profile)
        Ledger(store, run, 1).append("stopped", job=1)
    store.put(f"{folder('damaged')}/00000002-000000.jsonl", b'{"event": "machine_al')
    store.put("runs/forged/release/manifest.json", b"[]")
    labels = {run_label(run) for run in ("damaged", "forged", "Twin_1", "fine")}
    later = time.time() + 9000
    found = {label: each.judge("machine", MINE, OLD, later) for label, each in standings(store, labels).items()}
    kept = {label: verdict.keeps for label, verdict in found.items() if verdict}
    assert "ledger is damaged" in str(kept["damaged"]) and "00000002" in str(kept["damaged"])
    assert "is not a manifest" in str(kept["forged"]) and "same tag" in str(kept[run_label("Twin_1")])
    assert kept["fine"] is None and len(kept) == 4


SERVED: Told = (9 * QUIET, "serving", {"service": "s"})
SERVICES: dict[str, tuple[list[Told], str | None]] = {
    "a replica is silent, and its service is up": ([SERVED], None),
    "its service ended just now": ([SERVED, (SERVED_GRACE - 60, "unserved", {"service": "s"})], None),
    "its service ended": ([SERVED, (SERVED_GRACE + 60, "unserved", {"service": "s"})], "its service s ended 2 h ago"),
    "its service ended and began again": (
        [SERVED, (8 * QUIET, "unserved", {"service": "s"}), (7 * QUIET, "serving", {"service": "s"})],
        None,
    ),
    "another service ended": ([SERVED, (8 * QUIET, "unserved", {"service": "t"})], None),
    "its run was torn down": ([SERVED, (8 * QUIET, "teardown", {"machines": []})], "its service s ended 8 h ago"),
    "its service was never entered": ([LAUNCHED], "not heard of since 9 h ago"),
}


@pytest.mark.parametrize("case", SERVICES)
def test_a_replica_goes_by_its_service(case: str, store: FolderStore) -> None:
    told, words = SERVICES[case]
    tell(store, *told)
    verdict = standing(store, RUN).judge("machine", MINE, OLD, NOW, "s")
    assert (verdict is None) == (words is None), verdict
    assert words is None or verdict is None or words in verdict.why
