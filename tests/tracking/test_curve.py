"""One curve over preemptions."""

from typing import Any

from cortex.runs.ledger import Event
from cortex.tracking.curve import curve, up_to


def event(epoch: int, name: str, **values: Any) -> Event:
    return {"time": 100.0 * epoch + values.get("step", 0), "epoch": epoch, "event": name, **values}


def steps(epoch: int, *numbers: int) -> list[Event]:
    return [event(epoch, "progress", step=step, total=9, loss=float(epoch)) for step in numbers]


FIRST = [event(1, "stage_started", stage="sft"), *steps(1, 1, 2, 3, 4)]
RESUMED = [
    event(2, "stage_started", stage="sft"),
    event(2, "resumed", stage="sft", checkpoint="checkpoint-2"),
    *steps(2, 3, 4, 5),
]


def drawn(events: list[Event]) -> list[tuple[int, float]]:
    return [(point.step, point.values["loss"]) for point in curve(events, "sft")]


def test_a_resumed_attempt_replaces_what_came_after_its_checkpoint() -> None:
    assert drawn([*FIRST, *RESUMED]) == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]


def test_an_attempt_that_begins_anew_replaces_all() -> None:
    assert drawn([*FIRST, event(2, "stage_started", stage="sft"), *steps(2, 1, 2)]) == [(1, 2), (2, 2)]


def test_an_attempt_that_made_no_step_takes_nothing_away() -> None:
    assert drawn([*FIRST, event(2, "stage_started", stage="sft")]) == [(1, 1), (2, 1), (3, 1), (4, 1)]


def test_other_stages_steps_are_not_in_it() -> None:
    other = [event(3, "stage_started", stage="grpo"), *steps(3, 1, 2)]
    assert drawn([*FIRST, *other]) == drawn(FIRST)


def test_validations_and_the_parts_of_a_step_are_points_of_it() -> None:
    validated = event(1, "validated", stage="sft", step=4, values={"loss": 0.5})
    more = event(1, "progress", step=4, total=9, entropy=2.0)
    *_, last, part, validation = curve([*FIRST, more, validated], "sft")
    assert (last.step, part.values, validation.values) == (4, {"entropy": 2.0}, {"validation/loss": 0.5})
    assert up_to(curve([*FIRST, more, validated], "sft"), 3) == curve(FIRST, "sft")[:3]


def test_the_answers_of_a_step_belong_to_one_of_its_points_and_a_validations_to_its_own() -> None:
    parts = [event(1, "progress", step=4, total=9, **{name: 1.0}) for name in ("a", "b", "c")]
    validated = event(1, "validated", stage="sft", step=4, values={"loss": 0.5})
    again = event(1, "progress", step=4, total=9, d=1.0)
    points = curve([*FIRST[:4], *parts, validated, again, *steps(1, 5)], "sft")
    train = [f"train-{step:08d}.jsonl" for step in range(1, 6)]
    assert [point.samples for point in points] == [*train[:4], None, None, "validation-00000004.jsonl", None, train[4]]
    resumed = [event(2, "stage_started", stage="sft"), *steps(2, 1)]
    assert curve([*FIRST, *resumed], "sft")[0].samples == train[0], "an attempt that begins anew samples anew"
