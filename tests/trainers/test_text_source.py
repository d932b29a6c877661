"""Texts as `datasets` itself streams them, from files and from a hub, in the image that pretrains."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.fleet.services import serving
from tests.programs import in_image
from tests.trainers.dataset_hub import DatasetHub

HERE = Path(__file__).parent
COMMIT = "c" * 40

pytestmark = pytest.mark.rehearsal


def lines(name: str, count: int = 300) -> bytes:
    rows = ({"text": f"{name} {number}", "score": number % 5} for number in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def written(folder: Path) -> list[dict[str, Any]]:
    """Sources of each kind, with what is wrong in the last ones."""
    (folder / "a.jsonl").write_bytes(lines("a"))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(lines("b")))
    (folder / "c.txt").write_text("".join(f"c {number}\n" for number in range(300)), encoding="utf-8")
    pl.DataFrame({"body": [f"d {number}" for number in range(300)]}).write_parquet(
        folder / "d.parquet", row_group_size=40
    )
    (folder / "torn.jsonl").write_text('{"text": "a"}\n{"text": \n', encoding="utf-8")
    jsonl = [str(folder / "a.jsonl"), str(folder / "b.jsonl.gz")]
    return [
        {"name": "lines", "files": jsonl, "least": {"score": 3}},
        {"name": "text", "files": [str(folder / "c.txt")]},
        {"name": "parquet", "files": [str(folder / "d.parquet")], "column": "body"},
        {"name": "hub", "dataset": "owner/web", "config": "large", "revision": COMMIT, "least": {"score": 3}},
        {"name": "another column", "files": jsonl, "column": "body"},
        {"name": "numbers", "files": jsonl, "column": "score"},
        {"name": "torn", "files": [str(folder / "torn.jsonl")]},
        {"name": "none", "dataset": "owner/none", "revision": COMMIT},
    ]


def test_texts_are_streamed_filtered_and_continued_from_files_and_from_a_hub(tmp_path: Path) -> None:
    card = b"---\nconfigs:\n- config_name: large\n  data_files: large/*.jsonl\n---\n"
    files = {"README.md": card, "large/0.jsonl": lines("0"), "large/1.jsonl": lines("1")}
    cases = [{"source": source, "after": 110} for source in written(tmp_path)]
    with serving(DatasetHub("owner/web", COMMIT, files).answer) as url:
        reach = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        done = in_image("sft", [str(HERE / "read_texts.py")], json.dumps(cases), **reach)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])

    def kept(name: str) -> list[str | None]:
        return [f"{name} {number}" if number % 5 >= 3 else None for number in range(300)]

    assert [one["rows"] for one in found[:4]] == [
        kept("a") + kept("b"),
        [f"c {number}" for number in range(300)],
        [f"d {number}" for number in range(300)],
        kept("0") + kept("1"),
    ]
    assert [one["continued"] for one in found[:4]] == [True] * 4
    column, numbers, torn, none = (one["error"] for one in found[4:])
    assert column == "ConfigError: another column has no column 'body': it has text, score"
    assert numbers == "ConfigError: numbers: column score holds int, no text: name another `column`"
    assert torn.startswith("DataError: torn cannot be read: JSON parse error")
    assert none.startswith("ConfigError: none cannot be opened:")
