import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.domains.markets import Markets
from cortex.domains.markets.grading import grade_reply
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.markets.quality import check
from cortex.domains.markets.reward_weights import RewardWeights
from cortex.domains.markets.rewards import Reward, brier_reward, return_reward

PROMPT = "NEAR 1d flow:-2 whales:+1 range:2.8"
WORDS = frozenset({"up", "down", "unclear"})
WEIGHTS = RewardWeights(max_reasoning_words=12)
PROBABILITIES = st.floats(0, 1)


def answer(reasoning: str = "flow:-2 up whales:+1 up", p_up: float = 0.65, return_pct: float = 1.0) -> str:
    return render_answer(Answer(reasoning, p_up, "up" if p_up >= 0.5 else "down", return_pct, -9, 9))


def reward(
    text: str, prompt: str, outcome: float, weights: RewardWeights, vocabulary: frozenset[str] = frozenset()
) -> Reward:
    """The parts of a reply's grade."""
    return Reward(**grade_reply(text, prompt, outcome, weights, vocabulary).parts)


def paid(text: str, outcome: float = 0.01) -> float:
    return Markets(rewards=WEIGHTS).reward(grade_reply(text, PROMPT, outcome, WEIGHTS, WORDS))


@given(truth=PROBABILITIES, stated=PROBABILITIES)
def test_no_statement_is_expected_to_be_paid_more_than_the_true_probability(truth: float, stated: float) -> None:
    def expected(p: float) -> float:
        return truth * brier_reward(p, 0.01) + (1 - truth) * brier_reward(p, -0.01)

    assert expected(truth) >= expected(stated)
    assert expected(truth) - expected(stated) == pytest.approx((truth - stated) ** 2, abs=1e-9)


def test_an_outcome_of_exactly_0_is_half_a_rise() -> None:
    assert brier_reward(0.5, 0.0) == 1
    assert brier_reward(0.9, 0.0) == pytest.approx(1 - 0.16)
    assert brier_reward(0.2, 0.0) == pytest.approx(1 - 0.09)


@given(
    p_up=PROBABILITIES,
    outcome=st.floats(-0.99, 20),
    return_pct=st.floats(-9, 9),
    reasoning=st.text(st.sampled_from("flow:-2 up\nxé5."), min_size=1).filter(str.strip),
)
def test_every_part_lies_between_zero_and_one(p_up: float, outcome: float, return_pct: float, reasoning: str) -> None:
    for text in (answer(reasoning, p_up, return_pct), reasoning):
        for name, value in vars(reward(text, PROMPT, outcome, WEIGHTS, WORDS)).items():
            assert 0 <= value <= 1, name


def test_the_parts_of_an_honest_answer() -> None:
    parts = reward(answer(), PROMPT, 0.03, WEIGHTS, WORDS)
    assert parts.probability == pytest.approx(1 - 0.35**2)
    assert parts.numeric == pytest.approx(1 - (3 / 5 - 1 / 3) / 2)  # 3% came, 1% was stated, and the scale is 2%
    assert (parts.format, parts.grounding) == (1, 1)
    assert (parts.repetition, parts.padding, parts.misspelling) == (0, 0, 0)
    assert paid(answer(), 0.03) == pytest.approx(parts.probability + 0.1 * parts.numeric + 0.2 + 0.1)


@pytest.mark.parametrize(
    ("reasoning", "part", "value"),
    [
        ("up up up up up", "repetition", 2 / 3),
        ("flow:-2 " + "up down " * 12, "padding", 1 - 12 / 25),
        ("flow:-2 upp", "misspelling", 1 / 2),
    ],
)
def test_each_penalty_is_its_share(reasoning: str, part: str, value: float) -> None:
    assert getattr(reward(answer(reasoning), PROMPT, 0.01, WEIGHTS, WORDS), part) == pytest.approx(value)


@pytest.mark.parametrize(("stated", "came", "worth"), [(0, 0, 1), (0, 2, 0.75), (0, 1e6, 0.5), (-1e6, 1e6, 0)])
def test_a_stated_return_is_paid_by_its_distance_which_no_outcome_makes_endless(
    stated: float, came: float, worth: float
) -> None:
    assert return_reward(stated, came, scale_pct=2) == pytest.approx(worth, abs=1e-5)


def test_words_of_another_alphabet_are_spelled_wrong_too() -> None:
    text = answer("flow:-2 \u0430\u0440")  # Cyrillic letters that look like `ap`
    assert reward(text, PROMPT, 0.01, WEIGHTS, WORDS).misspelling == pytest.approx(1 / 2)


def test_without_a_vocabulary_spelling_is_not_judged() -> None:
    assert reward(answer("zzz qqq"), PROMPT, 0.01, WEIGHTS).misspelling == 0


GAMES = {
    "padding": answer("flow:-2 up whales:+1 up " + "unclear " * 300),
    "repetition": answer("flow:-2 up " * 40),
    "ungrounded": answer("flow:-1 up whales:+1 up"),
    "cites nothing": answer("up"),
    "diluted": answer("flow:-2 " * 30 + "flow:+1 up"),
    "misspelt": answer("flow:-2 up whales:+1 uppp"),
    "empty reasoning": answer(""),
    "no answer": "<think>flow:-2 up whales:+1 up</think>",
    "two answers": answer() + answer(p_up=0.05, return_pct=-1),
    "both ways": answer().replace('"p_up":0.65', '"p_up":1.5'),
    "text after": answer() + " trust me",
    "the other way": answer("flow:-2 up. direction: down"),
    "a second probability": answer().replace('"p_up":0.65', '"p_up":0.05,"p_up":0.65'),
    "nothing": "",
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("outcome", [-0.2, -0.01, 0.0, 0.01, 0.2])
def test_gaming_never_pays_more_than_the_same_belief_stated_honestly(game: str, outcome: float) -> None:
    assert paid(GAMES[game], outcome) < paid(answer(), outcome)


@pytest.mark.parametrize(
    ("text", "grade", "reason"),
    [
        (answer(), "accepted", None),
        (answer().removesuffix("</answer>"), "rejected", "protocol"),
        (answer("flow:+1 up"), "rejected", "ungrounded: flow:+1"),
        (answer("up"), "flagged", "cites nothing"),
        (answer(p_up=0.99), "flagged", "certain"),
        (answer("flow:-2 up " * 9), "flagged", "repeats itself"),
    ],
)
def test_quality_grades_an_answer_and_says_why(text: str, grade: str, reason: str | None) -> None:
    finding = check(PROMPT, text)
    assert finding.grade == grade
    assert finding.reasons == () if reason is None else reason in finding.reasons[0]


@pytest.mark.parametrize(
    ("p_up", "grade"), [(0.03, "accepted"), (0.97, "accepted"), (0.0299, "flagged"), (0.9701, "flagged")]
)
def test_a_probability_just_3_percent_from_the_ends_is_not_too_certain(p_up: float, grade: str) -> None:
    """Probabilities nearer to an end than `CERTAIN` are flagged: a teacher that rounds to whole percents may say 3%."""
    assert check(PROMPT, answer(p_up=p_up)).grade == grade


@pytest.mark.parametrize(
    ("distinct", "repeated", "grade"),
    [(7, 3, "flagged"), (14, 6, "flagged"), (70, 30, "flagged"), (71, 29, "accepted")],
)
def test_from_3_repeated_trigrams_of_10_a_reasoning_repeats_itself(distinct: int, repeated: int, grade: str) -> None:
    """`REPETITIVE` is the share from which it does: exactly that share counts, however long the reasoning is."""
    # Each word begins a 3-gram of its own, but for the last two; of three or more "up", all but the first repeat it.
    words = ["flow:-2", *(f"w{chr(97 + index // 26)}{chr(97 + index % 26)}" for index in range(distinct - 2))]
    text = answer(" ".join([*words, *["up"] * (repeated + 3)]))
    assert reward(text, PROMPT, 0.0, WEIGHTS).repetition == repeated / (distinct + repeated)
    assert check(PROMPT, text).grade == grade


def test_one_citation_is_enough_to_be_grounded_or_not() -> None:
    assert reward(answer("flow:-2 up"), PROMPT, 0.01, WEIGHTS).grounding == 1
    assert reward(answer("flow:-1 up"), PROMPT, 0.01, WEIGHTS).grounding == 0
    assert reward(answer("up"), PROMPT, 0.01, WEIGHTS).grounding == 0, "who cites nothing earns nothing by it"
    assert check(PROMPT, answer("flow:-2 up")).grade == "accepted"
