from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cortex.domains.markets.baselines import Fitted, fit_baselines
from cortex.domains.markets.measures import MEASURES, SCALE
from cortex.domains.markets.simple_baselines import TRAILING
from cortex.errors import DataError
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure
from tests.evaluation.simulation import FEATURES, MARKETS, make_examples, stated


def split(examples: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return examples.filter(split="train"), examples.filter(split="test")


TRAIN, TEST = split(make_examples(dates=400, symbols=8, strength=1.2))


def test_the_base_rate_states_the_training_climatology() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES).forecasts["base_rate"]
    outcome = TRAIN["outcome"].to_numpy()
    assert set(forecasts.p_up) == {np.mean(outcome > 0)}
    assert set(forecasts.expected_return) == {0}
    assert forecasts.low[0] == pytest.approx(np.quantile(outcome, 0.05))
    assert all(graded.valid for graded in forecasts.graded(TEST["outcome"].to_numpy()))


def test_momentum_states_what_followed_the_same_sign_in_training() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES, momentum_of="flow").forecasts["momentum"]
    was_rising, is_rising = ((frame["flow"] > 0).to_numpy() for frame in (TRAIN, TEST))
    for then, now in ((was_rising, is_rising), (~was_rising, ~is_rising)):
        followed = TRAIN["outcome"].to_numpy()[then]
        assert set(forecasts.p_up[now]) == {np.mean(followed > 0)}
        assert forecasts.expected_return[now] == pytest.approx(followed.mean())
    assert forecasts.p_up[is_rising].min() > 0.6
    assert forecasts.p_up[~is_rising].max() < 0.4


def test_an_outcome_of_exactly_0_is_half_a_rise_for_every_baseline() -> None:
    still = pl.col("outcome").clip(upper_bound=0.0)  # what rose now stands still
    some_up = pl.when(pl.int_range(pl.len()) % 10 == 0).then(0.01).otherwise(still).alias("outcome")
    train = TRAIN.with_columns(some_up)
    forecasts = fit_baselines(train, TEST, FEATURES, momentum_of="flow").forecasts
    rate = 0.5 * (1 + train["outcome"].sign().to_numpy().mean())
    assert (train["outcome"] == 0).sum() > 100 and 0.2 < rate < 0.4
    assert forecasts["base_rate"].p_up == pytest.approx(rate)
    for name in ("momentum", "logistic_regression"):
        assert forecasts[name].p_up.mean() == pytest.approx(rate, abs=0.03), name


def test_a_momentum_of_exactly_0_is_a_sign_of_its_own() -> None:
    train = TRAIN[:6].with_columns(mom7=pl.Series([0.0, 0.0, -1.0, -1.0, 2.0, 2.0]))
    train = train.with_columns(outcome=pl.Series([0.01, 0.01, -0.01, -0.01, -0.02, -0.02]))
    test = TEST[:3].with_columns(mom7=pl.Series([0.0, -1.0, 2.0]))
    momentum = fit_baselines(train, test, FEATURES).forecasts["momentum"]
    assert momentum.p_up.tolist() == [1.0, 0.0, 0.0]
    assert momentum.expected_return == pytest.approx([0.01, -0.01, -0.02])


def test_momentum_knows_nothing_of_a_sign_it_never_saw() -> None:
    train = TRAIN.with_columns(pl.col("mom7").abs() + 1)
    baselines = fit_baselines(train, TEST, FEATURES).forecasts
    falling = (TEST["mom7"] <= 0).to_numpy()
    assert set(baselines["momentum"].p_up[falling]) == {baselines["base_rate"].p_up[0]}


def test_logistic_regression_does_not_care_about_a_feature_s_scale() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES).forecasts["logistic_regression"]
    train, test = (frame.with_columns(pl.col("flow") * 1e6 + 5) for frame in (TRAIN, TEST))
    scaled = fit_baselines(train, test, FEATURES).forecasts["logistic_regression"]
    np.testing.assert_allclose(scaled.p_up, forecasts.p_up, atol=1e-4)
    plain = LogisticRegression().fit(TRAIN.select(FEATURES).to_numpy(), (TRAIN["outcome"] > 0).to_numpy())
    np.testing.assert_allclose(forecasts.p_up, plain.predict_proba(TEST.select(FEATURES).to_numpy())[:, 1], atol=0.01)


def test_baselines_learn_from_training_alone_but_for_the_trailing_one() -> None:
    spoiled = TEST.with_columns(outcome=-pl.col("outcome"))
    honest, other = (fit_baselines(TRAIN, test, FEATURES).forecasts for test in (TEST, spoiled))
    for name, one in honest.items():
        same = (one.p_up == other[name].p_up).all() and (one.high == other[name].high).all()
        assert same == (name != "trailing_base_rate"), name


@pytest.mark.parametrize("days", [1, 10])
def test_the_trailing_base_rate_knows_the_last_outcomes_that_were_over(days: int) -> None:
    train, test = split(make_examples(dates=400, symbols=3, horizon_days=days))
    trailing = fit_baselines(train, test, FEATURES, only=("trailing_base_rate",)).forecasts["trailing_base_rate"]
    everything = pl.concat([train, test])
    for row in (0, 2, 200, len(test) - 1):
        at = test["at"][row]
        first = at - timedelta(days=days + TRAILING)
        lately = everything.filter(pl.col("at").is_between(first, at - timedelta(days=days), closed="right"))["outcome"]
        assert len(lately) == 3 * TRAILING
        assert trailing.p_up[row] == pytest.approx((lately > 0).mean())
        assert trailing.low[row] == pytest.approx(lately.quantile(0.05, "linear"))


def test_mean_reversion_finds_a_reversal_and_no_trend() -> None:
    def fitted(sign: float) -> Fitted:
        trend = pl.when(pl.col("mom7").abs() > 0.5).then(sign * pl.col("mom7").sign() * 0.01)
        train = TRAIN.with_columns(trend.otherwise("outcome").alias("outcome"))
        return fit_baselines(train, TEST, FEATURES, only=("mean_reversion", "base_rate"))

    reverting, trending = fitted(-1.0), fitted(1.0)
    forecast = reverting.forecasts["mean_reversion"]
    assert forecast.p_up[(TEST["mom7"] > 1).to_numpy()].max() < 0.1
    assert forecast.p_up[(TEST["mom7"] < -1).to_numpy()].min() > 0.9
    assert not reverting.unfitted
    assert trending.unfitted["mean_reversion"].startswith("in training, returns rose no more often after low levels")
    assert (trending.forecasts["mean_reversion"].p_up == trending.forecasts["base_rate"].p_up).all()


def test_trees_see_what_a_line_cannot() -> None:
    """Prices that rise after large flows of either sign."""
    sign = pl.when(pl.col("flow").abs() > 0.7).then(1.0).otherwise(-1.0)
    train, test = (each.with_columns(outcome=pl.col("outcome").abs() * sign) for each in (TRAIN, TEST))
    fitted = fit_baselines(train, test, FEATURES)
    loss = {
        name: np.mean([one.loss for one in each.graded(test["outcome"].to_numpy())])
        for name, each in fitted.forecasts.items()
    }
    assert not fitted.unfitted.keys() & {"gradient_boosting", "logistic_regression"}
    assert loss["gradient_boosting"] < 0.05
    assert loss["logistic_regression"] > 0.2


def test_trees_widen_the_interval_where_moves_are_large() -> None:
    train, test = (each.with_columns(outcome=pl.col("outcome") * pl.col("noise").exp()) for each in (TRAIN, TEST))
    trees = fit_baselines(train, test, FEATURES).forecasts["gradient_boosting"]
    width, wild = trees.high - trees.low, (TEST["noise"] > 1).to_numpy()
    assert width[wild].mean() > 4 * width[(TEST["noise"] < -1).to_numpy()].mean()
    covered = (trees.low <= test["outcome"].to_numpy()) & (test["outcome"].to_numpy() <= trees.high)
    assert 0.86 < covered.mean() < 0.94


def test_a_baseline_that_cannot_be_fitted_stands_as_the_base_rate_and_says_why() -> None:
    constant = [pl.lit(1.0).alias(name) for name in FEATURES]
    flat = fit_baselines(TRAIN.with_columns(constant), TEST, FEATURES)
    assert flat.unfitted == {
        "momentum": "mom7 has the same sign in all training examples",
        "mean_reversion": "mom7 is constant in training",
        "logistic_regression": "every feature is constant in training",
        "gradient_boosting": "every feature is constant in training",
    }
    assert all((flat.forecasts[name].low == flat.forecasts["base_rate"].low).all() for name in flat.unfitted)
    shuffled = TRAIN.with_columns(pl.col("outcome").shuffle(seed=1))
    assert "no number of trees" in fit_baselines(shuffled, TEST, FEATURES).unfitted["gradient_boosting"]
    assert "too few for trees" in fit_baselines(TRAIN[:150], TEST, FEATURES).unfitted["gradient_boosting"]


def test_a_library_s_warning_is_no_number() -> None:
    """The variance of such a feature overflows, and what is standardised by it would be no number."""
    huge = TRAIN.with_columns(pl.col("flow") * 1e300)
    fitted = fit_baselines(huge, TEST, FEATURES)
    assert fitted.unfitted["logistic_regression"].startswith("its fit ended in a warning, RuntimeWarning: overflow")
    assert (fitted.forecasts["logistic_regression"].p_up == fitted.forecasts["base_rate"].p_up).all()


def test_equal_data_give_equal_forecasts_on_any_number_of_threads() -> None:
    found: list[bytes] = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            fitted = fit_baselines(TRAIN, TEST, FEATURES)
        assert not {"gradient_boosting", "logistic_regression"} & fitted.unfitted.keys()
        found.append(b"".join(each.p_up.tobytes() + each.low.tobytes() for each in fitted.forecasts.values()))
    assert found[0] == found[1]


def test_nobody_beats_the_oracle_and_logistic_regression_comes_close() -> None:
    outcome = TEST["outcome"].to_numpy()
    coin = stated(np.full(len(outcome), 0.5)).graded(outcome)
    grades = {name: Grades.of(graded, coin) for name, graded in MARKETS.baselines(TRAIN, TEST).items()}
    brier = {name: each.figure(Measure("loss", SCALE.loss)) for name, each in grades.items()}
    skill = {name: each.figure(SCALE.skill_measure) for name, each in grades.items()}
    (coverage,) = (measure for measure in MEASURES if measure.name == "coverage")
    best = TEST.select(pl.col("oracle_p_up") * (1 - pl.col("oracle_p_up"))).mean().item()
    assert brier["oracle"] == pytest.approx(best, abs=0.01)
    assert brier["oracle"] < brier["logistic_regression"] + 0.002
    assert skill["logistic_regression"] > 0.9 * skill["oracle"] > 0.15
    assert abs(skill["momentum"]) < 0.02
    assert all(abs(each.figure(coverage) - 0.9) < 0.03 for each in grades.values())


def test_the_oracle_needs_no_best_forecast_for_every_training_example() -> None:
    fed = TRAIN.with_columns(
        pl.when(pl.int_range(pl.len()) < 5).then(None).otherwise("oracle_return").alias("oracle_return")
    )
    stated = fit_baselines(fed, TEST, FEATURES).forecasts["oracle"]
    assert np.isfinite([stated.low, stated.high]).all()


@pytest.mark.parametrize("column", ["oracle_p_up", "oracle_return"])
def test_there_is_no_oracle_where_the_best_forecast_is_unknown(column: str) -> None:
    assert "oracle" not in fit_baselines(TRAIN, TEST.drop(column), FEATURES).forecasts
    unknown = TEST.with_columns(pl.lit(None, dtype=pl.Float64).alias(column))
    assert "oracle" not in fit_baselines(TRAIN, unknown, FEATURES).forecasts


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (TRAIN.clear(), TEST, "train split is empty"),
        (TRAIN, TEST.clear(), "test split is empty"),
        (TRAIN.drop("flow"), TEST, "no feature 'flow'"),
        (TRAIN, TEST.with_columns(flow=pl.lit(float("nan"))), "feature 'flow' of test row 0 is nan"),
        (TRAIN.with_columns(pl.col("noise").shift(1)), TEST, "feature 'noise' of train row 0 is None"),
        (TRAIN.with_columns(pl.col("outcome").abs() + 1), TEST, "base rate of up is 1.0"),
    ],
)
def test_examples_that_cannot_be_fitted_are_refused(train: pl.DataFrame, test: pl.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_baselines(train, test, FEATURES)
