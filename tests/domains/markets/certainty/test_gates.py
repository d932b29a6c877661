"""Each gate where there is something for it to find, and all of them where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Gate, Kept, Replaced
from cortex.domains.markets.certainty.combined_gate import combine
from cortex.domains.markets.certainty.gate_findings import find_all
from cortex.domains.markets.certainty.gate_list import INTERVAL_GATES, KEEPING_GATES
from cortex.evaluation.grades import Floats

from .planted_market import SITUATIONS, Draw, broken, make_bench, make_cases, make_market, nothing, shifted_volatility

GATES = {gate.name: gate for gate in (*INTERVAL_GATES, *KEEPING_GATES)}
STRICT = 0.05 / (len(GATES) + 1)
"""A p value below it holds after as many tries as there are gates."""


def test_every_gate_has_a_situation() -> None:
    assert GATES.keys() == SITUATIONS.keys()


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_gate_saves_error_where_it_is_planted(name: str) -> None:
    case = SITUATIONS[name](Draw(7, dates=400))["model"]
    bench, decided = make_bench(case.market), GATES[name].decide(case)
    saving = bench.judge_kept(case, decided) if isinstance(decided, Kept) else bench.judge_replaced(case, decided)
    assert saving.saved > 0 and saving.chance < STRICT
    assert saving.interval.low > 0


@pytest.mark.parametrize("name", [*SITUATIONS])
def test_no_gate_knows_the_future(name: str) -> None:
    """Decisions stay when all that is known only later is turned around."""
    gate, case = GATES[name], SITUATIONS[name](Draw(3, dates=150))["model"]
    step = case.steps[len(case.steps) // 2]
    until = int(case.market.at[step.now].min())
    changed = _changed_from(case, until)
    judged = np.concatenate([one.now for one in case.steps])
    before = judged[case.market.at[judged] <= until]
    first, second = (_decided(gate, each)[before] for each in (case, changed))
    assert np.array_equal(first, second, equal_nan=True)


def test_the_vote_follows_most_gates() -> None:
    case = broken(Draw(7))["model"]
    votes = [GATES[name].decide(case) for name in ("information", "changepoint", "edge", "cost")]
    saving = make_bench(case.market).judge_kept(case, combine([vote for vote in votes if isinstance(vote, Kept)]))
    assert saving.saved > 0 and saving.chance < STRICT
    with pytest.raises(CannotTellError, match="3 are needed for a vote"):
        combine([])


@pytest.mark.parametrize("skill", [0.0, 0.1])
def test_where_there_is_nothing_no_gate_is_said_to_save_error(skill: float) -> None:
    """Of 3 seeds, 2 would be called good with a probability of 0.7% if one in twenty were."""
    called = 0
    for seed in range(3):
        case = nothing(Draw(seed, dates=120), skill)["model"]
        found = find_all([case], make_bench(case.market))
        assert sum(each.saving is not None for each in found) > 6
        called += any(each.buys for each in found)
    assert called <= 1


def test_after_a_shift_adaptive_intervals_keep_their_promise_better_than_stated_ones() -> None:
    case = shifted_volatility(Draw(7))["model"]
    bench = make_bench(case.market)
    decided = GATES["adaptive_conformal"].decide(case)
    assert isinstance(decided, Replaced)
    covered = (case.low <= case.market.outcome) & (case.market.outcome <= case.high)
    stated, adaptive = float(covered[bench.judged].mean()), bench.judge_replaced(case, decided).kept
    assert stated < 0.8 < adaptive


def _decided(gate: Gate, case: Case) -> Floats:
    decided = gate.decide(case)
    if isinstance(decided, Kept):
        return decided.keep.astype(np.float64)
    return np.column_stack([decided.low, decided.high])


def _changed_from(case: Case, until: int) -> Case:
    """The case with other outcomes where they became known after `until`, and other features and losses."""
    market = case.market
    late, later = market.known_at > until, market.at > until
    outcome = np.where(late, -3 * market.outcome, market.outcome)
    features = np.where(later[:, np.newaxis], market.features[::-1] + 5, market.features)
    changed = replace(market, outcome=outcome, features=features)
    rivals: dict[str, Case] = {}
    for name, rival in case.rivals.items():
        loss = np.where(late, 1 - rival.loss, rival.loss)
        p_up = np.where(later, 1 - rival.p_up**2, rival.p_up)
        expected, low, high = (np.where(later, each + 0.01, each) for each in (rival.expected, rival.low, rival.high))
        rivals[name] = Case(name, changed, p_up, expected, low, high, loss, rival.reference, rival.valid, rivals)
    return rivals[case.name]


@pytest.mark.parametrize(("p_up", "scale"), [("constant", 0.0), ("certain", 1.0), ("equal", 1e6)])
def test_odd_forecasts_and_markets_are_judged_or_refused_in_words(p_up: str, scale: float) -> None:
    draw = Draw(0, dates=60)
    sides, outcome = 0.5 + 0.1 * draw.sides(), scale * draw.outcome(np.full(draw.n, 0.5))
    stated = {"constant": np.full(draw.n, 0.5), "certain": np.ones(draw.n), "equal": sides}[p_up]
    features = {"vol": np.zeros(draw.n), "mom7": outcome, "twice": 2 * outcome}
    cases = make_cases(make_market(draw, outcome, features), {"model": stated, "b": sides, "c": sides}, width=0.0)
    for found in find_all([cases["model"]], make_bench(cases["model"].market, resamples=50)):
        assert found.refusal or (found.saving is not None and np.isfinite(found.saving.saved))
