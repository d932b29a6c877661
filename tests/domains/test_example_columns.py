import datetime as dt
import re

import polars as pl
import pytest

from cortex.domains.example_columns import check_examples, examples_frame, read_rows, split_of
from cortex.domains.question import Example, Message
from cortex.errors import DataError

EXAMPLES = [
    Example("a", (Message("system", "Count."), Message("user", "1 + 1?")), truth={"sum": 2}, split="train"),
    Example("b", (Message("user", "1 + 2?"),), truth=3, split="validation"),
    Example("c", (Message("user", "1 + 3?"),), truth="four", split="test"),
]
FRAME = examples_frame(EXAMPLES, ["one", "two", "three"])


def test_examples_are_read_as_they_were_written() -> None:
    check_examples(FRAME, "sums")
    assert list(read_rows(FRAME)) == EXAMPLES
    assert FRAME["at"].null_count() == 3


def test_a_domain_may_have_columns_and_times_of_its_own() -> None:
    at = pl.lit(dt.datetime(2022, 1, 1, tzinfo=dt.UTC), dtype=pl.Datetime("us", "UTC"))
    check_examples(FRAME.with_columns(at=at, symbol=pl.lit("NEAR")), "sums")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop("cluster"), "domain 'sums' built column 'cluster' as None, not as String"),
        (FRAME.with_columns(pl.lit(1).alias("truth")), "built column 'truth' as Int32, not as String"),
        (FRAME.with_columns(at=pl.lit("2022-01-01")), "built column 'at' as String, not as Datetime"),
        (FRAME.with_columns(id=pl.lit("a")), "built two examples with the id 'a'"),
        (FRAME.with_columns(cluster=pl.lit("one")), "built cluster 'one' into two splits"),
        (
            FRAME.filter(pl.col("split") != "validation"),
            "built 1 train, 0 validation, 1 test examples: every split",
        ),
        (FRAME.clear(), "built 0 train, 0 validation, 0 test examples: every split needs some"),
        (
            pl.concat([FRAME, FRAME.head(1).with_columns(id=pl.lit("d"), split=pl.lit("dev"), cluster=pl.lit("four"))]),
            "built 1 train, 1 validation, 1 test, 1 dev examples: every split needs some, and there are no others",
        ),
    ],
)
def test_what_are_no_examples_is_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        check_examples(frame, "sums")


def test_a_cluster_without_a_time_falls_into_a_split_by_its_name_alone() -> None:
    splits = [split_of(str(index)) for index in range(2000)]
    assert splits == [split_of(str(index)) for index in range(2000)]
    shares = {split: splits.count(split) / 2000 for split in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.04)
