import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from cortex.domains.markets.baselines import fit_baselines
from cortex.domains.markets.measures import MEASURES, SCALE
from cortex.errors import DataError
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure
from tests.evaluation.simulation import FEATURES, MARKETS, make_examples, stated


def split(examples: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return examples.filter(split="train"), examples.filter(split="test")


TRAIN, TEST = split(make_examples(dates=400, symbols=8, strength=1.2))


def test_the_base_rate_states_the_training_climatology() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES)["base_rate"]
    outcome = TRAIN["outcome"].to_numpy()
    assert set(forecasts.p_up) == {np.mean(outcome > 0)}
    assert set(forecasts.expected_return) == {0}
    assert forecasts.low[0] == pytest.approx(np.quantile(outcome, 0.05))
    assert all(graded.valid for graded in forecasts.graded(TEST["outcome"].to_numpy()))


def test_momentum_states_what_followed_the_same_sign_in_training() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES, momentum="flow")["momentum"]
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
    forecasts = fit_baselines(train, TEST, FEATURES, momentum="flow")
    rate = 0.5 * (1 + train["outcome"].sign().to_numpy().mean())
    assert (train["outcome"] == 0).sum() > 100 and 0.2 < rate < 0.4
    assert forecasts["base_rate"].p_up == pytest.approx(rate)
    for name in ("momentum", "logistic_regression"):
        assert forecasts[name].p_up.mean() == pytest.approx(rate, abs=0.03), name


def test_a_momentum_of_exactly_0_is_a_sign_of_its_own() -> None:
    train = TRAIN[:6].with_columns(mom7=pl.Series([0.0, 0.0, -1.0, -1.0, 2.0, 2.0]))
    train = train.with_columns(outcome=pl.Series([0.01, 0.01, -0.01, -0.01, -0.02, -0.02]))
    test = TEST[:3].with_columns(mom7=pl.Series([0.0, -1.0, 2.0]))
    momentum = fit_baselines(train, test, FEATURES)["momentum"]
    assert momentum.p_up.tolist() == [1.0, 0.0, 0.0]
    assert momentum.expected_return == pytest.approx([0.01, -0.01, -0.02])


def test_momentum_knows_nothing_of_a_sign_it_never_saw() -> None:
    train = TRAIN.with_columns(pl.col("mom7").abs() + 1)
    baselines = fit_baselines(train, TEST, FEATURES)
    falling = (TEST["mom7"] <= 0).to_numpy()
    assert set(baselines["momentum"].p_up[falling]) == {baselines["base_rate"].p_up[0]}


def test_logistic_regression_does_not_care_about_a_feature_s_scale() -> None:
    forecasts = fit_baselines(TRAIN, TEST, FEATURES)["logistic_regression"]
    train, test = (frame.with_columns(pl.col("flow") * 1e6 + 5) for frame in (TRAIN, TEST))
    scaled = fit_baselines(train, test, FEATURES)["logistic_regression"]
    np.testing.assert_allclose(scaled.p_up, forecasts.p_up, atol=1e-4)
    plain = LogisticRegression().fit(TRAIN.select(FEATURES).to_numpy(), (TRAIN["outcome"] > 0).to_numpy())
    np.testing.assert_allclose(forecasts.p_up, plain.predict_proba(TEST.select(FEATURES).to_numpy())[:, 1], atol=0.01)


def test_baselines_learn_from_training_alone() -> None:
    spoiled = TEST.with_columns(outcome=-pl.col("outcome"))
    for one, other in zip(
        fit_baselines(TRAIN, TEST, FEATURES).values(), fit_baselines(TRAIN, spoiled, FEATURES).values(), strict=True
    ):
        assert (one.p_up == other.p_up).all()
        assert (one.high == other.high).all()


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
    stated = fit_baselines(fed, TEST, FEATURES)["oracle"]
    assert np.isfinite([stated.low, stated.high]).all()


@pytest.mark.parametrize("column", ["oracle_p_up", "oracle_return"])
def test_there_is_no_oracle_where_the_best_forecast_is_unknown(column: str) -> None:
    assert "oracle" not in fit_baselines(TRAIN, TEST.drop(column), FEATURES)
    unknown = TEST.with_columns(pl.lit(None, dtype=pl.Float64).alias(column))
    assert "oracle" not in fit_baselines(TRAIN, unknown, FEATURES)


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
