"""The order of the steps, the steps that a failure leaves out, and the end of all rented machines in any case."""

import io
import json

import pytest

from cortex.console import Console
from cortex.errors import StageError
from scripts.roadtest.interrupts import Interrupts
from scripts.roadtest.road import Road
from scripts.roadtest.step import Found, Line, Step, chosen, passed, unproven
from scripts.roadtest.steps import STEPS
from scripts.roadtest.table import summary, table
from scripts.roadtest.walk import Walk


def rent(road: Road) -> Found:
    road.begin(road.run)
    return Found("job/1")


def fail(road: Road) -> Found:
    raise StageError(f"{road.run}: no machine\nwas to be had")


def see(road: Road) -> Found:
    return Found(f"{road.left:.0f} s")


LAUNCH = Step("launch", "It is taken.", rent, 60, undone="teardown")
END = Step("left over", "Nothing stands.", see, 7, always=True)


def walked(road: Road, *steps: Step) -> list[Line]:
    told = list[Line]()
    with Interrupts("`make roadtest END=x` ends it") as interrupts:
        lines = Walk(road, interrupts, told.append).take(steps)
    assert told == lines, "each line is told as it comes about"
    return lines


def states(lines: list[Line]) -> dict[str, str]:
    return {line.name: line.state for line in lines}


def test_a_step_that_fails_leaves_out_what_needs_it_alone_and_what_was_rented_is_ended(road: Road) -> None:
    reclaim = Step("reclaim", "It recovers.", fail, 60, needs=("launch",))
    bucket = Step("bucket", "It is read.", see, 60, needs=("reclaim",))
    other = Step("status", "It is told.", see, 60, needs=("launch",))
    lines = walked(road, LAUNCH, reclaim, bucket, other, END)
    assert states(lines) == {
        "launch": "passed",
        "reclaim": "FAILED",
        "bucket": "not reached",
        "status": "passed",
        "left over": "passed",
    }
    assert [line.detail for line in lines[1:3]] == [f"{road.run}: no machine was to be had", "needs reclaim"]
    assert lines[-1].detail == "7 s", "the ending has its own time"
    assert not passed(lines)
    assert summary(lines) == "3 passed, 1 FAILED, 1 not reached; 0 minutes"


def test_a_step_that_cannot_be_tried_here_fails_nothing(road: Road) -> None:
    lines = walked(
        road, LAUNCH, Step("gpu", "It computes.", lambda road: unproven("no GPU"), 1, needs=("launch",)), END
    )
    assert states(lines)["gpu"] == "not proven here" and passed(lines)
    page = io.StringIO()
    Console(file=page, width=200).print(table(lines))
    assert "not proven here" in page.getvalue() and "no GPU" in page.getvalue()
    assert json.dumps([line.to_json() for line in lines])


def test_where_nothing_was_begun_nothing_is_ended(road: Road) -> None:
    lines = walked(road, Step("ready", "All is there.", fail, 60), Step(**{**vars(LAUNCH), "needs": ("ready",)}), END)
    assert states(lines) == {"ready": "FAILED", "launch": "not reached"}
    assert not passed([]), "a road test of no lines proves nothing"


def test_a_launch_that_fails_is_ended_all_the_same(road: Road) -> None:
    def rent_and_fail(road: Road) -> Found:
        rent(road)
        return fail(road)

    lines = walked(road, Step("launch", "It is taken.", rent_and_fail, 60), END)
    assert states(lines) == {"launch": "FAILED", "left over": "passed"}


def test_a_fault_of_the_road_test_itself_ends_what_was_rented_first(road: Road) -> None:
    ended = list[str]()

    def end(road: Road) -> Found:
        ended.append(road.run)
        return Found("")

    def broken(road: Road) -> Found:
        raise ZeroDivisionError(road.run)

    with pytest.raises(ZeroDivisionError):
        walked(road, LAUNCH, Step("gpu", "It computes.", broken, 60), Step("left over", "None.", end, 7, always=True))
    assert ended == [road.run]


def test_a_fault_of_this_machine_is_a_step_that_failed(road: Road) -> None:
    def full(road: Road) -> Found:
        raise OSError(28, "No space left on device")

    lines = walked(road, LAUNCH, Step("gpu", "It computes.", full, 60), END)
    assert states(lines) == {"launch": "passed", "gpu": "FAILED", "left over": "passed"}


def test_waiting_ends_with_the_time_of_the_step(road: Road) -> None:
    road.begin_step(0.2)
    with pytest.raises(StageError, match="the first step has not come about in time"):
        road.wait_for(lambda: None, "the first step", 0.05)


def test_chosen_steps_bring_those_that_they_need_and_the_ending() -> None:
    names = [step.name for step in chosen(STEPS, ["bucket"])]
    ending = [step.name for step in STEPS if step.always]
    assert names == ["ready", "launch", "reclaim", "bucket", *ending]
    assert [step.name for step in chosen(STEPS, [])] == [step.name for step in STEPS]


def test_each_step_says_what_it_proves_and_each_that_rents_how_it_is_undone() -> None:
    known = [step.name for step in STEPS]
    assert len(set(known)) == len(known)
    for number, step in enumerate(STEPS):
        assert step.proves.endswith(".") and step.seconds > 0
        assert set(step.needs) <= set(known[:number]), f"{step.name} needs what comes later"
        assert step.undone or not step.dollars
