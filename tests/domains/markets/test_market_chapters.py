"""Chapters on a market's forecasts, where the truth about them is known."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from cortex.domains.markets.forecasts import Forecasts
from cortex.domains.markets.market_chapters import ANALYSES
from cortex.domains.markets.scores.abstaining import abstention_chapter, keep
from cortex.domains.markets.scores.breakdown import breakdown_chapter, p_value
from cortex.domains.markets.scores.calibration_curve import calibration_chapter, score_parts
from cortex.domains.markets.scores.interval_scores import interval_chapter, interval_score
from cortex.domains.markets.scores.unfitted_baselines import unfitted_chapter
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.page_chapters import chapter_html
from cortex.evaluation.study import Study
from tests.evaluation.simulation import MARKETS, make_examples


def with_regimes(examples: pl.DataFrame) -> pl.DataFrame:
    """Examples with the features by which regimes are told, of which the tests' market has none."""
    drawn = np.random.default_rng(7).normal(size=(2, len(examples)))
    return examples.with_columns(
        pl.Series("noise", drawn[0]), vol=pl.Series(drawn[0]), mom30=pl.Series(drawn[1])
    ).select(*examples.columns[: examples.columns.index("oracle_p_up")], "vol", "mom30", "oracle_p_up", "oracle_return")


EXAMPLES = with_regimes(make_examples(dates=400, symbols=5, strength=1.2))
TRAIN, TEST = (EXAMPLES.filter(split=name) for name in ("train", "test"))
OUTCOME = TEST["outcome"].to_numpy()
BASELINES = MARKETS.baselines(TRAIN, TEST)
SCORES = (calibration_chapter, interval_chapter, abstention_chapter, breakdown_chapter, unfitted_chapter)


def study_of(graded: Sequence[Graded], train: pl.DataFrame = TRAIN, test: pl.DataFrame = TEST) -> Study:
    baselines = BASELINES if train is TRAIN and test is TEST else MARKETS.baselines(train, test)
    reference = baselines["base_rate"]
    contenders = {name: Grades.of(each, reference) for name, each in {"grpo": graded, **baselines}.items()}
    clusters = Clusters.read(test, MARKETS.span(test))
    drawn = Resamples.draw(clusters, resamples=300)
    return Study(contenders, ("grpo",), "grpo", clusters, drawn, seed=0)


def chapters_of(graded: Sequence[Graded], train: pl.DataFrame = TRAIN, test: pl.DataFrame = TEST) -> dict[str, Chapter]:
    study = study_of(graded, train, test)
    return {each.name: each for each in (analyse(MARKETS, study, train, test) for analyse in SCORES)}


def forecast(p_up: Floats, half_width: float = 0.05, test: pl.DataFrame = TEST) -> list[Graded]:
    n = len(p_up)
    stated = Forecasts(p_up, np.zeros(n), np.full(n, -half_width), np.full(n, half_width))
    return stated.graded(test["outcome"].to_numpy())


ORACLE = TEST["oracle_p_up"].to_numpy()


@pytest.fixture(scope="module")
def honest() -> dict[str, Chapter]:
    """The chapters of a model that states the truth."""
    return chapters_of(forecast(ORACLE))


@pytest.fixture(scope="module")
def boastful() -> dict[str, Chapter]:
    """The chapters of a model that is as certain as can be, of whatever, and whose intervals are narrow."""
    coin = np.random.default_rng(0).random(len(TEST)) < 0.5
    return chapters_of(forecast(np.where(coin, 0.95, 0.05), half_width=0.01))


def test_the_interval_score_is_bracher_s_and_lowest_in_expectation_for_the_true_quantiles() -> None:
    generator = np.random.default_rng(2)
    expected, low, high, outcome = generator.normal(size=(4, 50))
    low, high = np.minimum(low, high), np.maximum(low, high)
    grades = Grades.of(one := Forecasts(np.full(50, 0.5), expected, low, high).graded(outcome), one)
    missed = np.maximum(low - outcome, 0) + np.maximum(outcome - high, 0)
    by_hand = (np.abs(outcome - expected) / 2 + 0.1 / 2 * (high - low + 2 / 0.1 * missed)) / 1.5
    np.testing.assert_allclose(interval_score(grades, outcome), by_hand)

    def mean_score(scale: float, centre: float) -> float:
        def at(y: float) -> float:
            one = Forecasts(
                *(np.array([each]) for each in (0.5, centre, centre - scale * 1.645, centre + scale * 1.645))
            )
            graded = one.graded(np.array([y]))
            return float(interval_score(Grades.of(graded, graded), np.array([y]))[0] * norm.pdf(y))

        return quad(at, -8, 8, limit=200, points=[centre - scale * 1.645, centre, centre + scale * 1.645])[0]

    best = mean_score(1.0, 0.0)
    assert all(best < mean_score(*other) for other in ((0.8, 0.0), (1.25, 0.0), (1.0, 0.2)))


def test_narrow_intervals_are_told_from_honest_ones(honest: dict[str, Chapter], boastful: dict[str, Chapter]) -> None:
    assert "too narrow for what they promise" in boastful["intervals"].sentences[0]
    assert "are worse than the training outcomes' own" in boastful["intervals"].sentences[1]
    assert "too narrow" not in honest["intervals"].sentences[0]
    (table,) = honest["intervals"].tables
    rows = {row.name: dict(zip((h.title for h in table.headings), row.cells, strict=True)) for row in table.rows}
    assert rows["base_rate"]["Interval skill"].value == 0
    for cells in rows.values():
        inside, below, above = (cells[name].value or 0 for name in ("Inside", "Below", "Above"))
        assert inside + below + above == pytest.approx(1)
        interval = cells["Inside"].interval
        assert interval is not None and interval.low <= inside <= interval.high


def test_an_unreadable_answer_has_the_interval_of_the_base_rate() -> None:
    refusing = chapters_of([Graded(0.25, valid=False)] * len(TEST))
    (table,) = refusing["intervals"].tables
    own, reference = (next(row for row in table.rows if row.name == name) for name in ("grpo", "base_rate"))
    assert own.cells == reference.cells
    assert "too few decision dates for a curve" in refusing["calibration"].sentences[0]
    assert all(line.name != "grpo" for chart in refusing["calibration"].charts for line in chart.lines)


def test_the_curve_s_bands_hold_the_truth_and_not_boasts(
    honest: dict[str, Chapter], boastful: dict[str, Chapter]
) -> None:
    line = honest["calibration"].charts[0].lines[0]
    assert line.name == "grpo" and len(line.x) == 10
    assert sum(low <= x <= high for x, low, high in zip(line.x, line.low, line.high, strict=True)) >= 8
    assert "In 2 of 2 groups of forecasts of grpo" in boastful["calibration"].sentences[0]


def test_the_parts_of_the_brier_score_add_up_to_it() -> None:
    up = (OUTCOME > 0).astype(np.float64)
    for p in (ORACLE, 1 - ORACLE, np.full(len(up), 0.4)):
        lost, gained = score_parts(p, up)
        assert up.var() + lost - gained == pytest.approx(((p - up) ** 2).mean())
        assert lost >= 0 and gained >= 0
    assert score_parts(1 - ORACLE, up)[1] < 0.01 < score_parts(ORACLE, up)[1]


def test_abstention_pays_for_who_knows_what_he_knows(honest: dict[str, Chapter], boastful: dict[str, Chapter]) -> None:
    assert "its certainty means something" in honest["abstention"].sentences[0]
    assert "nothing shows that its certainty means anything" in boastful["abstention"].sentences[0]
    line = honest["abstention"].charts[0].lines[0]
    assert line.x[-1] == 1 and line.y[-1] == pytest.approx(np.mean((ORACLE - (OUTCOME > 0)) ** 2))
    assert line.y[0] < 0.6 * line.y[-1]


def test_equals_are_kept_in_part() -> None:
    doubt = np.array([0.1, 0.2, 0.2, 0.2, 0.9])
    np.testing.assert_allclose(keep(doubt, 0.4), [1, 1 / 3, 1 / 3, 1 / 3, 0])
    for share in (0.1, 0.25, 0.5, 0.9, 1.0):
        assert keep(np.random.default_rng(0).integers(4, size=97) / 4, share).sum() == pytest.approx(share * 97)


def test_skill_of_one_symbol_is_found_and_that_of_none_is_not() -> None:
    rate = float((TRAIN["outcome"] > 0).to_numpy().mean())
    is_known = (TEST["symbol"] == "S2").to_numpy()
    known = np.where(OUTCOME > 0, 0.8, 0.2)
    found = chapters_of(forecast(np.where(is_known, known, rate + 0.01)))["breakdown"]
    assert "grpo is shown to be, against the base rate: in" in found.sentences[0] and "better (S2" in found.sentences[0]
    assert {row.name for row in found.tables[0].rows if (row.cells[3].value or 0) < 0.05} == {"S2"}
    first = found.tables[0].rows[0]
    assert first.name == "S2" and (first.cells[3].value or 1) < 0.001
    assert {row.name for row in found.tables[1].rows} >= {"volatility: high", "trend: flat"}
    for table in found.tables:
        assert all((row.cells[2].value or 0) <= (row.cells[3].value or 0) for row in table.rows)
    guesses = np.random.default_rng(3).normal(rate, 0.01, (8, len(TEST)))
    said = [breakdown_chapter(MARKETS, study_of(forecast(each)), TRAIN, TEST).sentences[0] for each in guesses]
    assert sum("none shows" in sentence for sentence in said) >= 6


def test_p_values_are_small_one_time_in_twenty_where_nothing_is_there() -> None:
    days = 120
    clusters = Clusters.read(make_examples(dates=days, symbols=3), 1)
    member = np.ones(3 * days, dtype=np.bool_)
    study = Study({}, (), "", clusters, Resamples.draw(clusters, resamples=200), seed=0)
    generator = np.random.default_rng(11)
    shared = generator.normal(size=(500, days)).repeat(3, axis=1)
    small = [(p_value(study, each, member) or 0) < 0.05 for each in shared]
    assert 0.025 < np.mean(small) < 0.085


def test_few_dates_carry_no_claim() -> None:
    few = TEST[:100]
    chapters = chapters_of(forecast(ORACLE[:100], test=few), test=few)
    assert "No symbol and no regime has the 30 decision dates" in chapters["breakdown"].sentences[0]
    assert {row.cells[1].text for row in chapters["breakdown"].tables[0].rows} == {"too few dates"}


def test_a_baseline_that_stands_as_the_base_rate_is_named_with_its_reason() -> None:
    flat = TRAIN.with_columns(mom7=pl.lit(1.0))
    found = chapters_of(forecast(ORACLE), train=flat)["baselines"].sentences
    assert found[0] == (
        "The baseline momentum could not be fitted, and stands as the base rate: "
        "mom7 has the same sign in all training examples."
    )
    assert chapters_of(forecast(ORACLE))["baselines"].sentences[0].startswith(("All ", "The baseline mean reversion"))


def test_every_chapter_can_be_drawn(honest: dict[str, Chapter]) -> None:
    assert set(SCORES) <= set(ANALYSES)
    assert list(honest) == ["calibration", "intervals", "abstention", "breakdown", "baselines"]
    assert all(
        "".join(chapter_html(chapter, name)).count("<svg") == len(chapter.charts) for name, chapter in honest.items()
    )
