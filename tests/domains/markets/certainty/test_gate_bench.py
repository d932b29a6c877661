"""The judge of gates: error rates of its own, and what it refuses to judge."""

import warnings

import numpy as np
import pytest
from scipy.stats import binom

from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, refusing_warnings
from cortex.domains.markets.certainty.walk_forward import WARM_UP, walk

from .planted_market import DAY, SYMBOLS, Draw, make_bench, make_cases, make_market, nothing

SEEDS, TRIES = 200, 10


def test_of_ten_gates_that_know_nothing_one_is_called_good_in_at_most_a_twentieth_of_the_seeds() -> None:
    """Half of the gates decide by spells of dates, half by each forecast; losses come in spells, too."""
    called = 0
    for seed in range(SEEDS):
        draw = Draw(seed, dates=100)
        doubt = np.where(draw.spells(), 0.05, 0.25)
        case = make_cases(make_market(draw, draw.outcome(np.full(draw.n, 0.5))), {"model": 0.5 + doubt * draw.sides()})
        bench = make_bench(case["model"].market, resamples=100)
        kept = [Kept(draw.spells() if number % 2 else draw.coin(0.7)) for number in range(TRIES)]
        chances = [_chance(bench.judge_kept, case["model"], each) for each in kept]
        called += min(chances) * TRIES < 0.05  # the first step of Holm's correction
    assert called <= binom.ppf(0.99, SEEDS, 0.05)


def _chance(judge, case, kept: Kept) -> float:  # type: ignore[no-untyped-def]
    try:
        return judge(case, kept).chance
    except CannotTellError:
        return 1.0


def test_a_saving_is_the_error_of_all_less_that_of_the_kept_ones() -> None:
    draw = Draw(1)
    case = nothing(draw)["model"]
    bench, keep = make_bench(case.market), draw.coin(0.6)
    saving = bench.judge_kept(case, Kept(keep))
    loss, kept = case.loss[bench.judged], keep[bench.judged]
    assert saving.saved == pytest.approx(loss.mean() - loss[kept].mean())
    assert saving.kept == pytest.approx(kept.mean())
    assert saving.interval.low < saving.saved < saving.interval.high


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "it always abstains"), (1.0, "it never abstains"), (0.01, "30 are needed"), (0.995, "too few on one side")],
)
def test_a_gate_that_hardly_decides_is_not_judged(share: float, words: str) -> None:
    draw = Draw(2, dates=100)
    case = nothing(draw)["model"]
    with pytest.raises(CannotTellError, match=words):
        make_bench(case.market).judge_kept(case, Kept(draw.coin(share)))


def test_too_short_a_test_period_is_not_judged() -> None:
    with pytest.raises(CannotTellError, match="28 decision dates are left to judge by, and 30 are needed"):
        make_bench(nothing(Draw(0, dates=40))["model"].market)


def test_the_past_of_a_step_holds_no_outcome_that_reaches_into_it() -> None:
    at = np.repeat(np.arange(60), SYMBOLS) * DAY
    known_at = at + 5 * DAY
    steps = walk(at, known_at)
    for step in steps:
        assert known_at[step.past].max() <= at[step.now].min()
        assert len(step.past) == (at[step.now].min() / DAY - 4) * SYMBOLS
    walked = np.concatenate([step.now for step in steps])
    assert sorted(walked.tolist()) == np.flatnonzero(at >= WARM_UP * 60 * DAY).tolist()


def test_a_library_s_warning_becomes_a_sentence() -> None:
    with pytest.raises(CannotTellError, match=r"^hmmlearn warned: it did not converge$"), refusing_warnings("hmmlearn"):
        warnings.warn("it did not\nconverge", RuntimeWarning, stacklevel=1)
    with pytest.raises(CannotTellError, match=r"^arch warned: divide by zero"), refusing_warnings("arch"):
        np.divide(np.ones(1), np.zeros(1))
