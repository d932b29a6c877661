import random
import time
from typing import Any

import pytest

from cortex.domains.dataset_score import score_answer
from cortex.domains.label_finding import Finding
from cortex.domains.question import Message, Question
from cortex.teaching.quality.arithmetic import wrong_equations
from cortex.teaching.quality.contradiction import contradiction
from cortex.teaching.quality.hindsight import hindsight_signs
from cortex.teaching.quality.near_duplicates import NearDuplicates
from cortex.teaching.quality.quality_check import QualityCheck, QualityRules

PROMPT = "NEAR on 2024-03-01: flow -2, price 4.20. Will it rise over the next week?"
QUESTION = Question("q", (Message("user", PROMPT),))
GOOD = (
    "<think>The flow is -2, which suggests that holders keep their coins, because they take them off exchanges. "
    "However, the price of 4.20 is given after a rise, so a fall is likely if it turns. Therefore I stay near one half."
    "</think><answer>0.55</answer>"
)


def check(answer: str, accepted: Finding = Finding("accepted"), **rules: Any) -> Finding:  # noqa: B008 - it is frozen
    return QualityCheck(QualityRules(**rules)).check(QUESTION, answer, accepted)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2 + 2 = 4 and 12.5 - 3 = 9.5", []),
        ("2 + 2 = 5", ["2 + 2 = 5"]),
        ("-1.5 x 2 = -3, 7/2 = 3.5, 10 ÷ 4 equals 2.5", []),
        ("4.20 * 10% = 0.42, 50 + 10% = 55, 12% + 3% = 15%", []),
        ("12% + 3% = 16%", ["12% + 3% = 16%"]),
        ("a range of 5 - 10 is 3 times that", []),
        ("10 / 3 ≈ 3.3 and 1000 * 1.07 ≈ 1,080, but 10 / 3 ≈ 4.4", ["10 / 3 ≈ 4.4"]),
        ("1 / 3 = 0.33, 2 / 3 = 0.67 or 0.66", []),
        ("1 / 3 = 0.35", ["1 / 3 = 0.35"]),
        ("20% of 50 is 10; 15% of 200 = 35", ["15% of 200 = 35"]),
        ("$1,200 - $200 = $1,000 and 1,200 + 1 = 1,202", ["1,200 + 1 = 1,202"]),
        ("2 + 3 * 4 = 14, 2 + 3 + 4 = 9, 5 = 2 + 3 = 5", []),  # parts of longer ones are left alone
        ("3 / 0 = 0", []),
        ("from 2023-01 - 2024 = later; 1 - 2 = 3x", []),
        ("p_up = 0.55, 2024-03-01 is a day", []),
        ("1" * 100_000 + " + 1 = 2" + " 1 +" * 20_000, None),
    ],
)
def test_arithmetic_is_computed_again(text: str, wrong: list[str] | None) -> None:
    began = time.monotonic()
    found = wrong_equations(text)
    assert wrong is None or found == wrong
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("answer", "signs"),
    [
        ("By 2024-03-01 the flow was -2.", []),
        ("The price reached 5 on 2024-03-09.", ["2024-03-09"]),
        ("In hindsight it was right.", ["in hindsight"]),
        ("It would later double, as it turned out.", ["would later", "as it turned out"]),
        ("By 2026 it had doubled.", ["2026"]),
        ("A supply of 2030 coins, at $2050, since 2024.", ["2030"]),
        ("Likely to fall later this week.", []),
    ],
)
def test_knowledge_of_the_future_shows(answer: str, signs: list[str]) -> None:
    assert hindsight_signs(PROMPT, answer) == signs


def test_of_a_prompt_without_a_date_only_words_count() -> None:
    assert hindsight_signs("Will it rise?", "On 2029-01-01, in retrospect.") == ["in retrospect"]


def test_a_near_duplicate_is_found_among_many_and_others_are_not() -> None:
    rng, earlier = random.Random(0), NearDuplicates()
    words = [f"word{number}" for number in range(500)]
    texts = {f"t{number}": " ".join(rng.choices(words, k=120)) for number in range(300)}
    for name, text in texts.items():
        found = earlier.nearest(name, text)
        assert found is None or found[1] < 0.1
    changed = texts["t17"].split()
    changed[60] = "other"
    name, share = earlier.nearest("copy", " ".join(changed)) or ("", 0.0)
    assert name == "t17" and share > 0.9
    assert earlier.nearest("same", texts["t3"]) == ("t3", 1.0)


def test_the_score_prefers_reasons_to_bluster() -> None:
    bluster = "<think>It always rises. It always rises. It is guaranteed.</think><answer>0.9</answer>"
    good, bad = score_answer(PROMPT, GOOD), score_answer(PROMPT, bluster)
    assert good.total > 1.2 and bad.total < 0.6 and good.total > bad.total + 0.5
    assert (bad.bias, good.bias, bad.reasoning) == (1.0, 0.0, 0.0)
    assert good.total == pytest.approx(good.quality - 0.5 * good.bias + 0.75 * good.reasoning)
    assert score_answer(PROMPT, "").total == 0 and score_answer("", "12 %").total == 0


@pytest.mark.parametrize(
    ("answer", "rules", "grade", "reason"),
    [
        (GOOD, {"min_words": 20, "max_words": 100, "alphabet": "LATIN", "min_score": 1.0}, "accepted", ""),
        (GOOD, {"min_words": 100}, "flagged", "short: 4"),
        (GOOD, {"max_words": 10}, "flagged", "long: 4"),
        (GOOD, {"banned": ("holders",)}, "rejected", "banned: holders"),
        (GOOD, {"banned": ("hold", "a.b", "(")}, "accepted", ""),
        (GOOD + " 因为价格上涨所以我认为会上涨的可能性很大", {"alphabet": "LATIN"}, "flagged", "alphabet: "),
        ("Größe, naïve, Δ is fine in a sentence of many words", {"alphabet": "LATIN"}, "accepted", ""),
        (GOOD + " 2 + 2 = 5", {}, "rejected", "arithmetic: 2 + 2 = 5"),
        (GOOD + " 2 + 2 = 5", {"arithmetic": False}, "accepted", ""),
        (GOOD + " In hindsight, yes.", {}, "flagged", "hindsight: in hindsight"),
        (GOOD + " In hindsight, yes.", {"hindsight": False}, "accepted", ""),
        ("Always. Never.", {"min_score": 0.9}, "flagged", "score: "),
    ],
)
def test_each_rule_has_its_grade_and_reason(answer: str, rules: dict[str, Any], grade: str, reason: str) -> None:
    found = check(answer, **rules)
    assert found.grade == grade
    assert any(each.startswith(reason) for each in found.reasons) if reason else not found.reasons


def test_the_domains_own_finding_is_never_mended() -> None:
    flagged, rejected = Finding("flagged", ("certain",)), Finding("rejected", ("protocol",))
    assert check(GOOD, flagged) == flagged
    assert check(GOOD, rejected, banned=("holders",)) == rejected
    assert check(GOOD, flagged, banned=("holders",)) == Finding("rejected", ("certain", "banned: holders"))


def test_a_copy_of_an_earlier_answer_is_flagged() -> None:
    checked = QualityCheck(QualityRules(similarity=0.8))
    assert checked.check(QUESTION, GOOD, Finding("accepted")).grade == "accepted"
    copy = checked.check(Question("r", QUESTION.messages), GOOD + " Yes.", Finding("accepted"))
    assert copy.grade == "flagged" and copy.reasons[0].endswith("the same as q")


@pytest.mark.parametrize(
    ("answer", "stated"),
    [
        ("<think>2 + 3, so the answer is 5.</think><answer>6</answer>", "5"),
        ("<think>2 + 3, so the answer is 5.</think><answer>5</answer>", None),
        ("<think>First I thought the answer is 6. No, the answer is 5.5 apples.</think>5.5", None),
        ('<think>Thus my forecast: up</think><answer>{"direction": "down", "p_up": 0.4}</answer>', "up"),
        ('<think>Thus my forecast: up</think><answer>{"direction": "up", "p_up": 0.6}</answer>', None),
        ("<think>I conclude that prices will rise.</think><answer>fall</answer>", "prices will rise"),
        ("<think>The answer is not 5.</think>6", None),
        ("<think>The answer is 55%</think>0.55", None),
        ("<think>The result is $1,200.</think>The total is 1200 dollars.", None),
        ("<think>The answer is yes</think>No.", "yes"),
        ("<think>The flow suggests a rise.</think>down", None),
        ("The answer is 5. 6", None),
        ("<think>" + "the answer is " * 20_000 + "</think>7", None),
    ],
)
def test_an_answer_that_its_reasoning_excludes_is_told(answer: str, stated: str | None) -> None:
    began = time.monotonic()
    found = contradiction(answer)
    assert (found and found[0]) == stated
    assert time.monotonic() - began < 5
    grade = check(answer, arithmetic=False).grade
    assert grade == ("flagged" if stated else "accepted")
