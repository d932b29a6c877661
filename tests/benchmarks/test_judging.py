"""A judge over the network, from the command line: a server on loopback that judges as a test says."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cortex.benchmarks.answers_file import Benchmarked, SuiteAnswers, write_answers
from cortex.cli import app
from cortex.errors import BudgetError, CortexError, DataError, StageError
from cortex.teaching.review.decisions import Decision, Decisions, hash_answer
from tests.benchmarks.scored import answers
from tests.teaching.endpoint import Reply, Teacher, completion, error, serving

pytestmark = pytest.mark.integration

COUNT = 40
GOOD, BAD = "Because 2 + 2 is 4: 4", "4, trust me"
SHOWN = re.compile(r"\[answer(?: 1)? \w+\]\n(.*?)\n\[end of answer", re.DOTALL)


def reply(content: str, tokens: int = 100) -> Reply:
    """A completion whose usage is 3 tokens for each one of output."""
    made = json.loads(completion(content).body)
    made["usage"] = {"prompt_tokens": 2 * tokens, "completion_tokens": tokens, "total_tokens": 3 * tokens}
    return Reply(json.dumps(made).encode())


def pair(side: object) -> Reply:
    return reply(f'Let me see.\n{{"plain": {json.dumps(side)}, "overall": {json.dumps(side)}}}')


def fair(prompt: str, nth: int) -> Reply:
    """Prefers the answer with a reason, wherever it stands."""
    del nth
    found = SHOWN.search(prompt)
    assert found
    return pair(1 if found[1].startswith(GOOD) else 2)


def first(prompt: str, nth: int) -> Reply:
    del prompt, nth
    return pair(1)


@pytest.fixture
def judge() -> Iterator[Teacher]:
    with serving(Teacher(script=fair)) as served:
        yield served


@pytest.fixture
def call(judge: Teacher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `cortex rubric WORDS...` with this judge and a home of its own; further keywords are keys of the judge."""
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))

    def run(*words: str | Path, **keys: Any) -> Result:
        section = {"url": judge.url, "model": "m", "patience_seconds": 1.0, **keys}
        path = tmp_path / "rubric.yaml"
        path.write_text(yaml.safe_dump({"judge": section, "criteria": {"plain": "Each step is plain."}}))
        given = ["rubric", *map(str, words), "--rubric", str(path), "--json"]
        return CliRunner().invoke(app, given, catch_exceptions=False)

    return run


@pytest.fixture
def compared(tmp_path: Path) -> tuple[str | Path, ...]:
    """A model that states reasons in its first 36 answers, beside one that never does; the last four are equal."""
    plain = answers([0] * COUNT).answers
    sides = {
        "tuned": [f"{GOOD} {place}" if place < COUNT - 4 else "alike" for place in range(COUNT)],
        "base": [f"{BAD} {place}" if place < COUNT - 4 else "alike" for place in range(COUNT)],
    }
    for name, texts in sides.items():
        suite = SuiteAnswers(tuple(replace(one, reply=text) for one, text in zip(plain, texts, strict=True)))
        write_answers(Benchmarked(name, {"markets": suite}), tmp_path / f"{name}.jsonl")
    return "compare", tmp_path / "tuned.jsonl", "--against", tmp_path / "base.jsonl"


def test_a_fair_judge_has_a_verdict_and_a_price(
    call: Callable[..., Result], compared: tuple[str | Path, ...], judge: Teacher
) -> None:
    price = {"price": {"input": 1.0, "output": 4.0}}
    done = call(*compared, **price)
    record = json.loads(done.stdout)
    assert done.exit_code == 0 and record["position"]["lean"] == 0 and record["readable"] == record["pairs"] == COUNT
    [overall, plain] = record["preferences"]
    assert overall["first"] == plain["first"] == pytest.approx(0.9) and overall["second"] == 0
    assert record["sentences"][0].startswith("overall: the judge prefers tuned to base, in 90% of 40 pairs against 0%")
    # Equal answers are not asked about; each other pair is, in both orders.
    assert record["requests"] == len(judge.asked) == 72
    assert record["tokens"] == 72 * 300 and float(record["dollars"]) == pytest.approx(72 * (200 + 4 * 100) / 1e6)
    assert json.loads(call(*compared, **price).stdout) == record and len(judge.asked) == 72


def test_a_judge_that_always_prefers_the_first_is_refused_after_its_trial(
    call: Callable[..., Result], compared: tuple[str | Path, ...], judge: Teacher
) -> None:
    judge.script = first
    with pytest.raises(
        StageError, match="the judge m is refused: in each of its first 8 pairs it prefers the same place"
    ):
        call(*compared)
    assert len(judge.asked) == 16


def test_a_judge_that_turns_to_the_first_place_later_has_no_verdict(
    call: Callable[..., Result], compared: tuple[str | Path, ...], judge: Teacher
) -> None:
    def turn(prompt: str, nth: int) -> Reply:
        return fair(prompt, nth) if len(judge.asked) <= 16 else first(prompt, nth)

    judge.script = turn
    done = call(*compared)
    record = json.loads(done.stdout)
    assert done.exit_code == 1 and record["preferences"] == []
    assert record["sentences"][0].startswith("No verdict: in 28 of 36 pairs the judge prefers the same place")


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        (lambda prompt, nth: reply("Both are fine."), StageError, "none of its first 8 pairs of replies ends with"),
        (lambda prompt, nth: error(401, "no such key"), StageError, "the judge m at .* refuses.*CORTEX_JUDGE_API_KEY"),
        (
            lambda prompt, nth: error(503, "loading"),
            StageError,
            r"has answered nobody for 1 s.*judge\.patience_seconds",
        ),
    ],
    ids=["unreadable", "denied", "down"],
)
def test_a_judge_of_no_use_is_a_sentence(
    script: Any,
    kind: type[CortexError],
    said: str,
    call: Callable[..., Result],
    compared: tuple[str | Path, ...],
    judge: Teacher,
) -> None:
    judge.script = script
    with pytest.raises(kind, match=said):
        call(*compared)
    assert len(judge.asked) <= 48


def test_a_limit_of_money_holds(call: Callable[..., Result], compared: tuple[str | Path, ...], judge: Teacher) -> None:
    with pytest.raises(BudgetError, match=r"the judge m at .* has cost \$.* of \$0\.02.*raise judge\.dollars"):
        call(*compared, price={"input": 1.0, "output": 4.0}, dollars=0.02, concurrency=1)
    assert 0 < len(judge.asked) < 72


def test_agreement_with_people_is_measured(call: Callable[..., Result], judge: Teacher, tmp_path: Path) -> None:
    """A judge that accepts what has a reason; Ann thinks alike but for four answers, Bob accepts all."""
    labels = tmp_path / "labels"
    labels.mkdir()
    texts = [f"{GOOD if place % 2 else BAD} {place}" for place in range(COUNT)]
    rows = [
        {
            "example_id": str(place),
            "messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": text}],
            "reasons": [],
        }
        for place, text in enumerate(texts)
    ]
    for grade in ("flagged", "accepted", "rejected"):
        of_grade = rows if grade == "accepted" else []
        (labels / f"{grade}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in of_grade))
    made = Decisions(tmp_path / "review")
    for place, text in enumerate(texts):
        ann = "accept" if (place % 2) != (place < 4) else "reject"
        made.add(Decision(str(place), hash_answer(text), ann, "ann", "accepted"))
        made.add(Decision(str(place), hash_answer(text), "accept", "bob", "accepted"))
    made.seal({})

    def accept(prompt: str, nth: int) -> Reply:
        del nth
        found = SHOWN.search(prompt)
        assert found
        good = found[1].startswith(GOOD)
        return reply(f'{{"plain": {5 if good else 2}, "accept": {json.dumps(good)}}}')

    judge.script = accept
    record = json.loads(call("people", labels, "--review", tmp_path / "review").stdout)
    ann, bob = sorted(record["people"], key=lambda one: one["person"])
    # 18 and 18 alike of 40, both accept a half: (0.9 - 0.5) / (1 - 0.5).
    assert (ann["answers"], ann["alike"], ann["kappa"]) == (COUNT, pytest.approx(0.9), pytest.approx(0.8))
    assert bob["alike"] == 0.5 and bob["kappa"] is None
    assert record["scores"] == {"plain": 3.5}
    assert "one of them gave all one verdict: that is no agreement yet." in " ".join(record["sentences"])
    (labels / "accepted.jsonl").write_text(json.dumps(rows[0] | {"example_id": "another"}) + "\n")
    with pytest.raises(DataError, match="no answer of these labels was reviewed"):
        call("people", labels, "--review", tmp_path / "review")
