"""The answers of a step, found again for a table."""

import json
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.limits import SAMPLES_BYTES
from cortex.tracking.curve import Point
from cortex.tracking.sample_tables import MOST_ROWS, SampleTables, table_name
from cortex.tracking.samples import SampleWriter

PREFIX = "runs/run-1/grpo/tracking/samples"


def named(step: int, split: str = "train") -> Point:
    return Point(step, 1.0, {"loss": 1.0}, f"{split}-{step:08d}.jsonl")


def test_answers_of_this_disk_go_before_the_buckets_and_only_what_was_sent_is_asked_for(
    store: Store, tmp_path: Path
) -> None:
    SampleWriter(tmp_path / "samples", 2).write(7, "train", [{"completion": "new", "reward": 1.0}])
    for step in (3, 7, 9):
        store.put(f"{PREFIX}/train-{step:08d}.jsonl", json.dumps({"completion": f"sent {step}"}).encode())
    tables = SampleTables(store, "run-1", "grpo", folder=tmp_path / "samples", sent=8)
    assert tables.rows(named(7)) == [{"step": 7, "split": "train", "completion": "new", "reward": 1.0}]
    assert tables.rows(named(3)) == [{"completion": "sent 3"}]
    assert tables.rows(named(9)) == [], "of a lost attempt, beyond the checkpoint"
    assert tables.rows(named(3, "validation")) == [] == tables.rows(Point(3, 1.0, {}))
    assert SampleTables(store, "run-1", "grpo").rows(named(9)) == [{"completion": "sent 9"}]
    assert table_name(named(3, "validation")) == "samples/validation"


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", 0),
        (b"\xff\xfe", 0),
        (b"[1]\n3\nnull\n{}\n", 0),
        (b"[" * 9000, 0),
        (b'{"a": 1}\n{"a": 2}\n{"a": ', 2),
        (b'{"a": 1}\n{"b": 2}\n{"a": [3]}', 2),
        (b'{"a": NaN}\n{"a": 1}', 1),
    ],
)
def test_what_is_no_table_is_left_out(store: Store, data: bytes, rows: int) -> None:
    store.put(f"{PREFIX}/train-00000001.jsonl", data)
    found = SampleTables(store, "run-1", "grpo").rows(named(1))
    assert len(found) == rows and all(isinstance(row["a"], int | str) for row in found)


def test_a_file_that_is_larger_than_any_of_ours_is_not_read_and_of_many_rows_the_first_are(store: Store) -> None:
    key = f"{PREFIX}/train-00000001.jsonl"
    store.put(key, b'{"a": 1}\n' * 1000)
    assert len(SampleTables(store, "run-1", "grpo").rows(named(1))) == MOST_ROWS
    store.put(key, b'{"a": "' + b"x" * SAMPLES_BYTES + b'"}\n')
    assert SampleTables(store, "run-1", "grpo").rows(named(1)) == []


def test_a_bucket_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    tables = SampleTables(open_store("s3://kit", Patience(deadline=0.5)), "run-1", "grpo")
    with pytest.raises(StoreError):
        tables.rows(named(1))
