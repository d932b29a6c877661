"""The chapter on certainty, from the grades of an evaluation to its sentences and tables."""

import time
from functools import partial

import numpy as np
import polars as pl
import pytest

from cortex.domains.markets.certainty.certainty_chapter import certainty_chapter
from cortex.domains.markets.forecasts import Forecasts
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.judging import Study
from tests.evaluation.simulation import MARKETS, judge, make_examples


def models(test: pl.DataFrame, count: int) -> dict[str, Forecasts]:
    """Models that see the truth through noise."""
    rng, true = np.random.default_rng(0), test["oracle_p_up"].to_numpy()
    logit, n, found = np.log(true / (1 - true)), len(test), dict[str, Forecasts]()
    for number in range(count):
        p = 1 / (1 + np.exp(-0.6 * logit - 0.5 * rng.normal(size=n)))
        found[f"model_{number}"] = Forecasts(p, (2 * p - 1) * 0.02, np.full(n, -0.06), np.full(n, 0.06))
    return found


def chapter_of(examples: pl.DataFrame, count: int = 2) -> tuple[Chapter, float]:
    """The chapter, and the seconds of this process that it took."""
    train, test = examples.filter(split="train"), examples.filter(split="test")
    outcome, took = test["outcome"].to_numpy(), list[float]()
    graded = {name: stated.graded(outcome) for name, stated in models(test, count).items()}

    def write(study: Study) -> list[Chapter]:
        start = time.process_time()
        written = partial(certainty_chapter, MARKETS, train=train, test=test)(study)
        took.append(time.process_time() - start)
        return [written]

    evaluation = judge(graded, examples, judged="model_0", chapters=write)
    return evaluation.chapters[0], took[0]


def test_gates_are_found_good_or_not_and_said_so() -> None:
    chapter, _ = chapter_of(make_examples(dates=400))
    assert chapter.sentences[0].startswith("Of ") and "save error of model 0" in chapter.sentences[0]
    rows = {row.name: row.cells for row in chapter.tables[0].rows}
    assert rows["Factor weighting"][-1].text.startswith("saves error")
    assert rows["Flow toxicity (VPIN)"][-1].text == ("not judged: the examples have no volumes of buyers and sellers")
    assert all(len(row.cells) == len(table.headings) for table in chapter.tables for row in table.rows)
    assert any("by multiplied error rates is" in sentence for sentence in chapter.sentences)


def test_a_short_test_period_gives_sentences_and_no_figures_of_gates() -> None:
    chapter, _ = chapter_of(make_examples(dates=90))
    assert chapter.sentences[0] == ("No gate can be judged: 25 decision dates are left to judge by, and 30 are needed.")


@pytest.mark.parametrize("symbols", [1, 6])
def test_any_number_of_symbols_gives_a_chapter(symbols: int) -> None:
    chapter, _ = chapter_of(make_examples(dates=150, symbols=symbols))
    information = next(row for row in chapter.tables[0].rows if row.name == "Information ratio")
    assert ("5 symbols" in information.cells[-1].text) == (symbols == 1)


@pytest.mark.timed
def test_ten_contenders_on_1500_examples_take_seconds() -> None:
    _, seconds = chapter_of(make_examples(dates=940), count=7)
    assert seconds < 8, f"took {seconds:.1f} s, wanted about 1"
