import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cortex.benchmarks.answers_file import Benchmarked, write_answers
from cortex.cli import app
from cortex.errors import ConfigError, UsageError
from tests.benchmarks.scored import answers


def benchmark(*words: str | Path) -> Result:
    """Run the verb; the kit's own errors are raised."""
    return CliRunner().invoke(app, ["benchmark", *map(str, words)], catch_exceptions=False)


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path]:
    """Answers of a base, and of a tuned model that lost every third."""
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    write_answers(Benchmarked("base", {"gsm8k": answers([1] * 90)}), before)
    write_answers(Benchmarked("tuned\x1b[2J", {"gsm8k": answers([0, 1, 1] * 30)}), after)
    return before, after


def test_kept_answers_are_compared_without_asking_anybody(kept: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = kept
    shown = benchmark(after, "--against", before)
    assert shown.exit_code == 0 and "\x1b" not in shown.stdout
    assert "worse than base, with 66.7% after 100.0% (difference -33.3 points" in shown.stdout
    record = json.loads(benchmark(after, "--against", before, "--json", "--to", tmp_path / "out").stdout)
    assert record["suites"][0]["change"] == "worse" and len(record["sentences"]) == 1
    written = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert written == {key: value for key, value in record.items() if key != "sentences"}
    assert (tmp_path / "out" / "against.jsonl").read_bytes() == before.read_bytes()


def test_nothing_is_said_where_nothing_is_decided(kept: tuple[Path, Path]) -> None:
    before, _ = kept
    record = json.loads(benchmark(before, "--against", before, "--json").stdout)
    assert record["suites"][0]["change"] == "undecided" and record["sentences"] == []


def test_wrong_words_are_refused_before_anything_is_asked(kept: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = kept
    with pytest.raises(UsageError, match="nothing is asked: name --task"):
        benchmark("m@http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="--run and --profile both"):
        benchmark("m@http://127.0.0.1:9/v1", "--run", "r", "--profile", "p")
    with pytest.raises(UsageError, match="is there: name a new folder"):
        benchmark(after, "--to", tmp_path)
    with pytest.raises(ConfigError, match="does not answer"):
        benchmark("http://127.0.0.1:9/v1", "--task", "gsm8k", "--against", before)
