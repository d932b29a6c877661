import datetime as dt

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cortex.domains.example_columns import SPLITS
from cortex.domains.markets.spans import Span
from cortex.domains.markets.splits import assign_splits, count_times, find_boundaries
from cortex.errors import DataError

EPOCH = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)


def _examples(days: list[int], horizon: int) -> pl.DataFrame:
    decided = [EPOCH + dt.timedelta(days=day) for day in days]
    table = pl.DataFrame({"row": range(len(days)), "time": decided})
    return table.with_columns(outcome_time=pl.col("time") + pl.duration(days=horizon))


def _split(examples: pl.DataFrame, embargo: int, train: float = 0.6, validation: float = 0.15) -> pl.DataFrame:
    days = Span(embargo, "days")
    examples = examples.with_columns((pl.col("time") - pl.duration(days=embargo)).alias("clear_of"))
    boundaries = find_boundaries(
        count_times(examples), train_fraction=train, validation_fraction=validation, embargo=days
    )
    return assign_splits(examples, boundaries)


@given(
    days=st.lists(st.integers(0, 400), min_size=30, max_size=200),
    horizon=st.integers(1, 30),
    embargo=st.integers(0, 30),
    train=st.floats(0.1, 0.7),
    validation=st.floats(0.05, 0.25),
)
def test_no_split_knows_the_answers_of_the_next(
    days: list[int], horizon: int, embargo: int, train: float, validation: float
):
    examples = _examples(days, horizon)
    try:
        split = _split(examples, embargo, train, validation)
    except DataError:
        assume(False)
        return
    assert split.select("row", "time", "outcome_time").equals(
        examples.filter(pl.col("row").is_in(split["row"].implode()))
    )
    parts = [split.filter(split=name) for name in SPLITS]
    assert sum(part.height for part in parts) == split.height
    for i, earlier in enumerate(parts):
        for later in parts[i + 1 :]:
            first, known = later["time"].min(), earlier["outcome_time"].max()
            assert isinstance(first, dt.datetime) and isinstance(known, dt.datetime)
            assert first - known >= dt.timedelta(days=embargo)


@given(symbols=st.integers(1, 5), horizon=st.integers(1, 5))
def test_one_time_falls_into_one_split_and_the_fractions_are_kept(symbols: int, horizon: int):
    days = sorted(list(range(0, 400)) * symbols)
    split = _split(_examples(days, horizon), embargo=horizon)
    assert split.select(pl.col("split").n_unique().over("time").max()).item() == 1
    shares = dict(split["split"].value_counts(normalize=True).iter_rows())
    assert shares == pytest.approx({"train": 0.6, "validation": 0.15, "test": 0.25}, abs=0.03)


def test_what_is_purged_and_embargoed_is_exactly_what_must_be():
    split = _split(_examples(list(range(100)), horizon=3), embargo=2)
    days = {name: (split.filter(split=name)["row"]).to_list() for name in SPLITS}
    assert days == {
        "train": list(range(0, 58)),  # known by day 60
        "validation": list(range(62, 73)),  # from 60 + 2 on, known by day 75
        "test": list(range(77, 100)),
    }


@pytest.mark.parametrize(
    ("days", "horizon", "embargo", "empty"),
    [(list(range(100)), 80, 0, "0 train"), (list(range(100)), 1, 20, "0 validation"), ([5] * 50, 1, 0, "0 train")],
)
def test_an_empty_split_is_refused_with_the_counts(days: list[int], horizon: int, embargo: int, empty: str):
    with pytest.raises(DataError, match=f"{empty}.* of {len(days)} examples.*lower horizon_days") as error:
        _split(_examples(days, horizon), embargo)
    assert error.value.exit_code == 65


def test_no_examples_are_refused():
    with pytest.raises(DataError, match="no examples"):
        _split(_examples([1], 1).clear(), 0)
