"""Truth-telling, through the whole weighted reward: no statement is expected to be paid more than the belief itself."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.adversary import BrokenPromiseError, check_truth, expected_reward, truth_pays
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.grading import grade_reply
from cortex.domains.markets.protocol import Answer, parse_answer, render_answer
from cortex.domains.question import Example
from cortex.domains.weighted_quantile import weighted_quantile
from cortex.evaluation.graded import Graded
from cortex.settings import Settings
from tests.domains.test_adversary import SHIPPED, examples
from tests.domains.toy_domain import toy_class

COUNT = 6
BELIEFS = st.lists(st.floats(0, 1), min_size=COUNT, max_size=COUNT).filter(lambda shares: sum(shares) > 0.01)


def normal(weights: list[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


@cache
def own_domain() -> tuple[Domain, tuple[Example, ...]]:
    domain = toy_class().model_validate({})
    rows = read_rows(domain.build(0, Settings()).examples.sample(COUNT, seed=1))
    return domain, tuple(rows)


@pytest.mark.parametrize("name", [*SHIPPED, "a domain of one's own"])
@settings(max_examples=25, deadline=None)
@given(belief=BELIEFS, stated=BELIEFS | st.none())
def test_no_statement_is_expected_to_be_paid_more_than_the_belief(
    name: str, belief: list[float], stated: list[float] | None
) -> None:
    domain, pool = (SHIPPED[name], examples(name)[:COUNT]) if name in SHIPPED else own_domain()
    check_truth(domain, pool, normal(belief), normal(stated) if stated else None)


PROMPT = "NEAR 1d flow:-2 whales:+1 range:2.8"
RETURNS = st.floats(-0.9, 9) | st.just(0.0)
PROBABILITIES = st.integers(0, 10_000).map(lambda whole: whole / 10_000)


def expected(
    domain: Markets, belief: list[tuple[float, float]], p_up: float, stated: float, low: float, high: float
) -> float:
    """The expected reward of a forecast in percent, by a belief: returns (fractions) and their probabilities."""
    direction = "up" if p_up >= 0.5 else "down"
    text = render_answer(Answer("flow:-2", p_up, direction, stated, stated - low, stated + high))
    return sum(share * domain.reward(grade_reply(text, PROMPT, outcome, domain.rewards)) for outcome, share in belief)


@pytest.mark.parametrize("name", [name for name, domain in SHIPPED.items() if domain.kind == "markets"])
@settings(max_examples=40, deadline=None)
@given(
    outcomes=st.lists(st.tuples(RETURNS, st.floats(0.01, 1)), min_size=1, max_size=5),
    p_up=PROBABILITIES,
    stated=st.floats(-90, 900),
    reach=st.tuples(st.floats(0.1, 1e5), st.floats(0.1, 1e5)),
)
def test_a_forecaster_states_the_probability_and_the_median_and_any_interval_around_it(
    name: str, outcomes: list[tuple[float, float]], p_up: float, stated: float, reach: tuple[float, float]
) -> None:
    domain = SHIPPED[name]
    assert isinstance(domain, Markets)
    total = sum(share for _, share in outcomes)
    belief = [(outcome, share / total) for outcome, share in outcomes]
    honest_p = round(
        sum(share * (1.0 if outcome > 0 else 0.5 if outcome == 0 else 0.0) for outcome, share in belief), 4
    )
    median = weighted_quantile([(100 * outcome, share) for outcome, share in belief], 0.5)
    honest = expected(domain, belief, honest_p, median, 1, 1)
    rounding = 1e-4  # four decimals, of percent for returns
    assert expected(domain, belief, p_up, median, 1, 1) <= honest + rounding
    assert expected(domain, belief, honest_p, stated, 1, 1) <= honest + rounding
    assert expected(domain, belief, p_up, stated, *reach) <= honest + rounding
    # Intervals are judged, by coverage and width, but not rewarded: none, however wide, is worth more.
    assert expected(domain, belief, honest_p, median, *reach) == pytest.approx(honest, abs=1e-12)
    loss = honest - expected(domain, belief, p_up, median, 1, 1)
    assert loss == pytest.approx(domain.rewards.probability * (p_up - honest_p) ** 2, abs=rounding)


def _likeliest(self: Markets, example: Example, reply: str) -> Graded:
    """A grade whose return part is 1 / (1 + distance): best for the likeliest return, and not for the median."""
    graded = Markets.grade(self, example, reply)
    assert isinstance(example.truth, float)
    stated = parse_answer(reply).return_pct if graded.valid else 1e6
    near = 1 / (1 + abs(stated - 100 * example.truth) / self.rewards.return_scale_pct)
    return replace(graded, parts={**graded.parts, "numeric": near, "probability": 0.0})


def test_a_reward_for_the_likeliest_return_is_found() -> None:
    """Someone who believes in -5%, 0% or 5% says 0%, and would be paid more for claiming to be sure of 5%."""
    kind = type("Likeliest", (Markets,), {"grade": _likeliest, "__module__": Markets.__module__})
    messages = examples("rehearsal")[0].messages
    pool = [Example(f"a{at}", messages, outcome) for at, outcome in enumerate((-0.05, 0.0, 0.05))]
    belief = [0.42, 0.12, 0.46]
    check_truth(SHIPPED["rehearsal"], pool, belief, [0.0, 0.0, 1.0])
    with pytest.raises(BrokenPromiseError, match="stating another belief is expected to be paid"):
        check_truth(kind.model_validate({"style": "compact"}), pool, belief, [0.0, 0.0, 1.0])


def test_a_gate_that_pays_for_silence_is_found() -> None:
    """A reward that pays nothing for a wrong answer, and a half for none, would teach to abstain."""

    def grade(self: Domain, example: Example, reply: str) -> Graded:
        graded = toy_class().grade(self, example, reply)
        near = float(graded.loss == 0) if graded.valid else 0.5
        return replace(graded, parts={**graded.parts, "near": near})

    silent = type("Silent", (toy_class(),), {"grade": grade, "__module__": toy_class().__module__})
    domain, pool = own_domain()
    assert "best stated" in truth_pays(domain, pool, 0)
    with pytest.raises(BrokenPromiseError, match="stating nothing is expected to be paid"):
        check_truth(silent.model_validate({}), pool, [1 / COUNT] * COUNT, None)


def test_the_expected_reward_is_the_mean_by_the_beliefs_probabilities() -> None:
    domain, pool = own_domain()
    both = expected_reward(domain, pool, [0.25, 0.75, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0])
    alone = [
        expected_reward(domain, pool, [float(at == one) for at in range(COUNT)], [1, 0, 0, 0, 0, 0]) for one in (0, 1)
    ]
    assert both == pytest.approx(0.25 * alone[0] + 0.75 * alone[1])


@pytest.mark.parametrize(("level", "value"), [(0.05, 1), (0.2, 1), (0.21, 2), (0.5, 2), (0.8, 2), (0.81, 3), (1.0, 3)])
def test_a_quantile_is_the_least_value_with_that_share_at_or_below(level: float, value: float) -> None:
    assert weighted_quantile([(3, 1), (1, 1), (2, 2), (9, 0), (2, 1)], level) == value
