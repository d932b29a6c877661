"""The roles of a debate about a forecast: their prompts, and the reply that comes of theirs."""

import pytest

from cortex.domains.markets.market_debate import MarketDebate
from cortex.domains.markets.protocol import Answer, parse_answer, render_answer
from cortex.domains.question import Message, Question

QUESTION = Question("NEAR-1", (Message("user", "NEAR 1d flow:+1 range:2.8"),))
DEBATE = MarketDebate()
BULL = Answer("flow: +1 tells of buyers", 0.8, "up", 3.0, -1.0, 7.0)
BEAR = Answer("range: 2.8 is wide", 0.3, "down", -2.0, -6.0, 2.0)
RISK = render_answer(Answer("flow: +1, and little else", 0.55, "up", 0.5, -4.0, 5.0))
SAID = {"bull": render_answer(BULL), "bear": render_answer(BEAR)}


def test_the_first_roles_are_told_their_sides_of_the_same_question() -> None:
    opened = DEBATE.begin(QUESTION)
    assert list(opened) == ["bull", "bear"]
    for role, (turn,) in opened.items():
        assert turn.role == "user" and turn.content.startswith(QUESTION.text) and f"you are the {role}" in turn.content


def test_the_risk_role_sees_what_both_said() -> None:
    [turn] = DEBATE.close(QUESTION, SAID)
    assert turn.content.startswith(QUESTION.text)
    assert BULL.reasoning in turn.content and "p_up 0.8, return 3 percent" in turn.content
    assert BEAR.reasoning in turn.content and "-6 to 2 percent" in turn.content


def test_a_reply_that_cannot_be_read_is_kept_from_the_risk_role() -> None:
    [turn] = DEBATE.close(QUESTION, SAID | {"bull": "Buy! <answer>everything"})
    assert "Buy!" not in turn.content and "The bull says" not in turn.content and BEAR.reasoning in turn.content


def test_the_risk_roles_forecast_is_the_debates() -> None:
    assert DEBATE.conclude(SAID, RISK) == RISK
    assert DEBATE.conclude(dict.fromkeys(SAID, "nothing"), RISK) == RISK


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (SAID, (0.55, "up", 0.5, -3.5, 4.5)),
        (SAID | {"bull": "nothing"}, (0.3, "down", -2.0, -6.0, 2.0)),
        (SAID | {"bull": render_answer(Answer("a", 0.4, "down", -1.0, -4.0, 2.0))}, (0.35, "down", -1.5, -5.0, 2.0)),
    ],
)
def test_without_the_risk_roles_forecast_the_mean_of_the_others_stands(
    said: dict[str, str], expected: tuple[float, str, float, float, float]
) -> None:
    found = parse_answer(DEBATE.conclude(said, "no </think>"))
    assert (found.p_up, found.direction, found.return_pct, found.low_pct, found.high_pct) == expected


def test_where_no_role_can_be_read_the_reply_cannot_be_either() -> None:
    assert DEBATE.conclude(dict.fromkeys(SAID, "nothing"), "nor this") == "nor this"
