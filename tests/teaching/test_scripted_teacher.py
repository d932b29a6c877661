import math
from itertools import product

import pytest

from cortex.domains.markets import scripted_teacher as teacher
from cortex.domains.markets.protocol import Answer, ProtocolError, parse_answer
from cortex.domains.markets.quality import check

PROMPTS = [
    f"{symbol}{number} 1d mom7:{mom} flow:{flow} whales:{whales} range:{size}"
    for symbol, number, mom, flow, whales, size in product(
        ("NEAR", "ETH", "BTC"), range(8), (-1, 1), (-2, -1, 1, 2), (-2, -1, 1, 2), (1.4, 2.8)
    )
]
TEXTS = [teacher.answer(prompt) for prompt in PROMPTS]


def read(text: str) -> Answer | None:
    try:
        return parse_answer(text)
    except ProtocolError:
        return None


ANSWERS = [(prompt, found) for prompt, text in zip(PROMPTS, TEXTS, strict=True) if (found := read(text))]


def near(count: int, share: float, of: int = len(PROMPTS)) -> bool:
    """Within four standard deviations of a binomial count."""
    return abs(count - share * of) <= 4 * math.sqrt(share * (1 - share) * of)


def value(prompt: str, name: str) -> int:
    return int(prompt.partition(f"{name}:")[2].split()[0])


def test_an_answer_depends_on_the_prompt_and_the_seed_alone() -> None:
    assert [teacher.answer(prompt) for prompt in PROMPTS[:50]] == TEXTS[:50]
    assert [teacher.answer(prompt, seed=1) for prompt in PROMPTS[:50]] != TEXTS[:50]


def test_its_faults_have_the_documented_shares() -> None:
    findings = [check(prompt, text) for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
    assert near(sum(found.reasons[:1] != () and "protocol" in found.reasons[0] for found in findings), teacher.BROKEN)
    ungrounded = sum(found.reasons[:1] != () and "ungrounded" in found.reasons[0] for found in findings)
    assert near(ungrounded, teacher.UNGROUNDED * (1 - teacher.BROKEN))


def test_it_reads_flow_rightly_but_for_the_contrary_share() -> None:
    verdicts = [(value(prompt, "flow"), found.reasoning.split()[1]) for prompt, found in ANSWERS]
    wrong = sum((flow > 0) == (verdict == "up") for flow, verdict in verdicts)
    assert near(wrong, teacher.CONTRARY, len(ANSWERS))


def test_it_guesses_at_whales_and_is_seldom_better_than_a_coin() -> None:
    verdicts = [found.reasoning.split()[3] for _, found in ANSWERS]
    guessed = [verdict for verdict in verdicts if verdict != "unclear"]
    assert near(len(guessed), teacher.GUESSES, len(verdicts))
    right = sum(
        (value(prompt, "whales") > 0) == (verdict == "up")
        for (prompt, _), verdict in zip(ANSWERS, verdicts, strict=True)
        if verdict != "unclear"
    )
    assert near(right, teacher.GUESSED_RIGHT, len(guessed))


def test_its_probability_follows_flow_and_not_whales() -> None:
    def slope(name: str) -> float:
        return sum((found.p_up - 0.5) * value(prompt, name) for prompt, found in ANSWERS) / len(ANSWERS)

    assert slope("flow") < -0.2
    assert 0 < slope("whales") < 0.1 * -slope("flow")


@pytest.mark.parametrize("prompt", ["", "say something", "NEAR 1d range:2.8", "NEAR 1d mom7:+2 draw:-1 range:2.8"])
def test_it_answers_what_it_does_not_understand_without_conviction(prompt: str) -> None:
    found = [answer for seed in range(20) if (answer := read(teacher.answer(prompt, seed)))]
    assert len(found) >= 15
    assert all(0.25 <= answer.p_up <= 0.75 for answer in found)
