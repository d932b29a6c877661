"""The domain of planning: its examples, its grades, its scripted teacher, its pairs, and mistakes in its section."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from cortex.domains.contract import check_domain
from cortex.domains.example_columns import read_rows
from cortex.domains.planning.domain import Planning
from cortex.domains.planning.statements import Style, find_problem
from cortex.domains.question import Example, Message, Question
from cortex.errors import DataError
from cortex.evaluation.grades import Grades
from cortex.settings import CHECKOUT, Settings
from tests.domains.planning.known_problems import FEW, RING, SHOP, STAFF, planning, problem, rows


@cache
def built(style: Style = "compact", seed: int = 0) -> pl.DataFrame:
    return rows(planning(style=style), seed)


def example(values: object, style: Style, cost: int, plan: str) -> tuple[Planning, Example]:
    """An example of one known problem, whose statement plays no part in grades."""
    truth = {"problem": json.dumps(values), "cost": cost, "plan": plan}
    return planning(style=style), Example("logistics/1", (Message("user", "?"),), truth)


def test_no_problem_is_in_two_splits_in_any_order_and_nearby_seeds_share_few() -> None:
    frame = rows(planning(examples=200, logistics={"places": 4}, allocation={"dearest": 3}))
    keys: dict[str, set[str]] = {}
    for one in read_rows(frame):
        found = find_problem(one.text)
        assert found is not None
        keys.setdefault(one.split, set()).add(found.key())
    assert {split: len(found) > 5 for split, found in keys.items()} == dict.fromkeys(
        ("train", "validation", "test"), True
    )
    assert not keys["train"] & keys["test"] and not keys["train"] & keys["validation"]
    assert not keys["validation"] & keys["test"]
    near = [{one.text for one in read_rows(built(seed=seed))} for seed in (0, 1)]
    assert len(near[0]) == 68 and len(near[0] & near[1]) <= 4


def test_boxes_in_another_order_are_the_same_problem() -> None:
    assert problem(RING).key() == problem({**RING, "boxes": ["ad", "bc"], "roads": ["ba", "bc", "cd", "da"]}).key()
    assert problem(SHOP).key() == problem({**SHOP, "jobs": [[[2, 2], [1, 5]], [[1, 3], [2, 4]]]}).key()
    assert problem(STAFF).key() != problem({**STAFF, "limits": [2, 3]}).key()


def test_equal_seeds_give_equal_examples_in_another_process() -> None:
    program = (
        "import json, sys; from cortex.domains.registry import read_domain; from cortex.settings import Settings;"
        "print(read_domain(json.loads(sys.argv[1])).build(0, Settings()).examples.write_json())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, planning().model_dump_json()],
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(built().write_json())


@pytest.mark.parametrize("style", ["compact", "full"])
def test_the_contract_is_kept(style: Style) -> None:
    broken = [kept for kept in check_domain(planning(style=style), Settings()) if not kept.kept]
    assert not broken


def test_weights_divide_the_examples_and_kinds_take_turns() -> None:
    frame = rows(planning(logistics={"weight": 2}, allocation={"weight": 0}, coordination={"weight": 0}))
    kinds = frame.filter(pl.col("split") == "train")["kind"].to_list()
    assert kinds.count("logistics") == 27 and kinds.count("scheduling") == 13
    assert kinds[:6].count("logistics") == 4


@pytest.mark.parametrize(
    ("reply", "loss", "obeys"),
    [
        ("<answer>+2b+1c-1d-2</answer>", 0.0, 1.0),
        ("<answer>+2d-2ab+1c-1</answer>", 1 - 7 / 8, 1.0),
        ("<answer>b+1c-1</answer>", 1.0, 0.0),
    ],
)
def test_a_plan_loses_by_its_cost_and_all_if_it_breaks_a_rule(reply: str, loss: float, obeys: float) -> None:
    domain, asked = example(RING, "compact", 7, "+2b+1c-1d-2")
    graded = domain.grade(asked, reply)
    assert graded.loss == pytest.approx(loss) and graded.valid
    assert graded.numbers["obeys"] == obeys and graded.numbers["optimal"] == (loss == 0)
    assert graded.parts == {"plan": pytest.approx(1 - loss), "valid": obeys, "format": 1.0}


@pytest.mark.parametrize(
    ("style", "reply"),
    [
        ("compact", "+2b+1c-1d-2"),
        ("compact", "<answer></answer>"),
        ("compact", "<answer>+2 b +1 c -1 d -2</answer>"),
        ("compact", "<answer>+2b+1c-1d-2</answer><answer>b</answer>"),
        ("compact", "<answer>+2b+1c-1d-3</answer>"),
        ("compact", "<answer>" + "ba" * 31 + "</answer>"),
        ("compact", "<answer>" + "ba" * 500_000 + "</answer>"),
        ("compact", "<answer>+2b+1c-1d-2\u200b</answer>"),
        ("compact", "<answer>+2b+1c-1d-\u0662</answer>"),
        ("full", "<answer>+2 b +1 c -1 d -2</answer>"),
        ("full", "<think> </think><answer>+2 b +1 c -1 d -2</answer>"),
        ("full", "<think>so</think><answer>+2  b +1 c -1 d -2</answer>"),
        ("full", "<think>so</think><answer>+2b +1 c -1 d -2</answer>"),
        ("full", "<think>so</think><answer>+2 b +1 c -1 d -2</answer> done"),
    ],
)
def test_a_reply_of_another_form_is_no_plan(style: Style, reply: str) -> None:
    domain, asked = example(RING, style, 7, "")
    graded = domain.grade(asked, reply)
    assert not graded.valid and graded.loss == 1 and set(graded.parts.values()) == {0.0}


def test_the_reasoning_carries_the_plan_out() -> None:
    domain, asked = planning(style="full", faults=0.0), next(read_rows(built("full")))
    reply = domain.script(Question(asked.id, asked.messages), 0)
    assert domain.grade(asked, reply).loss == 0
    assert isinstance(asked.truth, dict)
    assert f"That makes {asked.truth['cost']} " in reply


def test_a_hasty_teacher_is_greedy_and_its_broken_plans_are_not_imitated() -> None:
    found = list(read_rows(built()))
    losses = {
        faults: [planning(faults=faults).grade(one, planning(faults=faults).script(one, 0)).loss for one in found]
        for faults in (0.0, 1.0)
    }
    assert set(losses[0.0]) == {0.0} and sum(losses[1.0]) > 5
    domain, walled = planning(), problem({"kind": "coordination", "roads": ["ab", "bc", "bd"], "robots": ["ac", "bd"]})
    question = Question("coordination/1", (Message("user", walled.brief()),))
    assert domain.imitable(question, f"<answer>{''.join(walled.greedy())}</answer>").grade == "rejected"
    assert domain.imitable(question, "<answer>bdcd</answer>").grade == "accepted"
    assert domain.imitable(Question("x", (Message("user", "hello"),)), "<answer>a</answer>").grade == "flagged"


@pytest.mark.parametrize("style", ["compact", "full"])
def test_pairs_prefer_the_best_plan_to_a_worse_one(style: Style) -> None:
    domain = planning(style=style)
    for one in read_rows(built(style)):
        pair = domain.preferred(one)
        assert pair is not None
        better, worse = (domain.grade(one, reply) for reply in pair)
        assert better.loss == 0 and worse.loss > 0 and domain.reward(better) > domain.reward(worse)


def test_an_unreadable_reply_counts_as_no_plan_in_every_measure() -> None:
    domain, found = planning(), list(read_rows(built()))[:2]
    assert isinstance(found[0].truth, dict)
    best = f"<answer>{found[0].truth['plan']}</answer>"
    reference = [domain.grade(one, domain.exemplars(one).gold) for one in found]
    grades = Grades.of([domain.grade(found[0], best), domain.grade(found[1], "no")], reference)
    figures = {measure.name: grades.figure(measure) for measure in domain.measures}
    assert figures == {"score": 0.5, "plans": 0.5, "gap": 0.0}
    shares = domain.details(grades)["by_kind"]
    assert isinstance(shares, dict) and sum(kind["valid"] * kind["examples"] for kind in shares.values()) == 1  # type: ignore[index,operator]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "has no problem: write one JSON object a line"),
        ("[1]", ":1: no problem: '.1.' is no object"),
        ("{", ":1: no problem: .*: write one JSON object"),
        (json.dumps({**SHOP, "split": "dev"}), ":1: no problem: split is 'dev': name one of train, validation, test"),
        (json.dumps({**SHOP, "jobs": "AB"}), ":1: jobs: Input should be a valid array"),
        (json.dumps({**STAFF, "costs": [[12, 3]], "hours": [1]}), ":1: a number above 9 has no compact statement"),
    ],
)
def test_a_file_of_other_lines_is_refused_in_one_line(lines: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(lines)
    with pytest.raises(DataError, match=message) as caught:
        rows(planning(problems=str(file)))
    assert "\n" not in str(caught.value) and "mine.jsonl" in str(caught.value)


def test_problems_of_a_file_are_solved_and_split(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    splits = ("train", "validation", "test")
    file.write_text(
        "".join(
            json.dumps({**values, "split": split}) + "\n"
            for values, split in zip((SHOP, RING, STAFF), splits, strict=True)
        )
    )
    domain = planning(problems=str(file), style="full")
    found = {one.split: one.truth for one in read_rows(rows(domain))}
    assert {split: truth["cost"] for split, truth in found.items() if isinstance(truth, dict)} == dict(
        zip(splits, (8, 7, 12), strict=True)
    )
    assert domain.files() == (file,)
    with pytest.raises(DataError, match="cannot be read"):
        planning(problems=str(tmp_path / "none")).check(Settings())


def test_too_few_different_problems_are_counted() -> None:
    tiny = {"width": 2, "height": 2, "robots": [1]}
    with pytest.raises(DataError, match=r"domain\.coordination has too few different problems for the \d+ wanted for"):
        rows(planning(coordination=tiny, examples=200))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({kind: {"weight": 0} for kind in ("scheduling", "logistics", "allocation", "coordination")}, "sum to 0"),
        ({"allocation": {"tasks": 4}}, "too little time for 4 tasks"),
        ({"coordination": {"width": 2, "height": 2, "robots": [4]}}, "4 robots fill all of 2 x 2"),
        ({"logistics": {"place": 4}}, "unknown key 'place'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Planning.model_validate({"kind": "planning", **FEW, **keys})


def test_a_truth_of_another_domain_is_named() -> None:
    with pytest.raises(DataError, match=r"example 'x' has a truth of another form .*: build the examples anew"):
        planning().grade(Example("x", (Message("user", "S 11"),), "A"), "<answer>A</answer>")
