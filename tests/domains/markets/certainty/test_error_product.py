"""Multiplied error rates: refuted where errors go together, and not where they are independent."""

import numpy as np
import pytest

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError
from cortex.domains.markets.certainty.certainty_tables import product_sentence, product_table
from cortex.domains.markets.certainty.error_product import JointError, measure_joint_error

from .planted_market import Draw, make_bench, make_cases, make_market


def forecasters(shared: float, seed: int = 0) -> tuple[JointError, dict[str, Case]]:
    """Four members that err in 20%, of which a share is at the same forecasts."""
    draw = Draw(seed)
    together, up = draw.coin(0.2), draw.coin()
    probabilities = {}
    for name in "abcd":
        wrong = np.where(draw.coin(shared), together, draw.coin(0.2))
        probabilities[name] = np.where(up ^ wrong, 0.7, 0.3)
    cases = make_cases(make_market(draw, np.where(up, 0.01, -0.01)), probabilities)
    bench = make_bench(cases["a"].market)
    rows = bench.judged
    return measure_joint_error({name: _part(case, rows) for name, case in cases.items()}, bench.resamples), cases


def _part(case: Case, rows: np.ndarray) -> Case:
    from dataclasses import replace

    market = replace(case.market, outcome=case.market.outcome[rows])
    return replace(case, market=market, p_up=case.p_up[rows])


def test_errors_that_go_together_refute_the_product() -> None:
    joint, _ = forecasters(shared=0.9)
    assert joint.product == pytest.approx(0.2**4, rel=0.4)
    assert joint.all_wrong > 0.1 and joint.is_refuted and joint.measured_interval.low > 10 * joint.claimed
    assert joint.independent < 1.6
    assert product_sentence(joint).startswith("Certainty by multiplied error rates is refuted: errors are not")
    assert product_table(joint).rows[-1].cells[1].value == joint.measured


def test_independent_errors_do_not() -> None:
    joint, _ = forecasters(shared=0.0)
    assert not joint.is_refuted
    assert joint.independent == pytest.approx(4, abs=0.4)
    assert "is not refuted here" in product_sentence(joint)


def test_one_member_is_no_ensemble() -> None:
    _, cases = forecasters(shared=0.5)
    with pytest.raises(CannotTellError, match="1 contender states both directions"):
        measure_joint_error({"a": cases["a"]}, make_bench(cases["a"].market).resamples)
