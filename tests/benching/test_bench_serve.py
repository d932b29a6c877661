"""`cortex bench serve` on servers of known latencies and known faults, each a program of its own."""

import json
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from cortex.cli import app
from cortex.domains.dataset import build_dataset
from cortex.errors import ConfigError, StageError, UsageError
from cortex.process import running
from cortex.profiles.profile_file import read_section
from cortex.settings import CHECKOUT, Settings

pytestmark = pytest.mark.integration

FIRST, BETWEEN, TOKENS = 0.05, 0.01, 20
LATE = 0.03
"""Seconds by which a median may be above the server's own: a busy machine wakes both programs late, never early."""


@contextmanager
def slow_server(**behaviour: Any) -> Generator[str]:
    """A server that behaves so; gives its address."""
    command = [sys.executable, "-m", "tests.benching.slow_server", json.dumps(behaviour)]
    with running(command, cwd=CHECKOUT, stdout=PIPE) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


def bench(*words: str | Path) -> Result:
    """Run the verb; the kit's own errors are raised."""
    return CliRunner().invoke(app, ["bench", "serve", *map(str, words)], catch_exceptions=False)


def measure(url: str, *words: str | Path) -> Any:
    """The JSON of a bench of few requests."""
    few = ("--requests", "24", "--concurrency", "4", "--tokens-out", str(TOKENS), "--timeout", "5", "--json")
    done = bench(url, *few, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def level(url: str, *words: str | Path) -> Any:
    """The figures of the one level of `measure`."""
    return measure(url, *words)["endpoints"][0]["levels"][0]


@pytest.mark.timed
def test_known_latencies_are_measured(tmp_path: Path) -> None:
    with slow_server(first=FIRST, between=BETWEEN) as url:
        shown = measure(url, "--price", "3.6", "--slo", "ttft=1s,itl=1s", "--plot", tmp_path / "plot.svg")
    found = shown["endpoints"][0]["levels"][0]
    assert (found["requests"], found["succeeded"], found["faults"]) == (24, 24, {})
    # The chunk of the role comes at once, and is no token.
    assert FIRST <= found["ttft"]["median"] <= FIRST + LATE
    assert BETWEEN - 0.002 <= found["itl"]["median"] <= BETWEEN + 0.004
    assert found["per_token"]["median"] == pytest.approx(BETWEEN, abs=0.004)
    assert found["itl"]["count"] == 24 * (TOKENS - 1)
    assert (found["ttft"]["count"], found["ttft"]["p99"]) == (24, None), "24 values have no 99th percentile"
    assert found["itl"]["median"] <= found["itl"]["p95"] <= found["itl"]["p99"]
    assert found["tokens_out"] == found["chunks"] == 24 * TOKENS
    # Four at a time, each FIRST + 19 * BETWEEN = 0.24 s long.
    ideal = 4 * TOKENS / (FIRST + (TOKENS - 1) * BETWEEN)
    assert 0.6 * ideal <= found["output_tokens_per_second"] <= ideal
    assert found["good_share"] == 1.0
    # $3.60 an hour are a thousandth of a dollar a second.
    assert float(found["dollars_per_million_output"]) == pytest.approx(
        0.001 / found["output_tokens_per_second"] * 1e6, rel=1e-4
    )
    assert found["memory"]["source"] == "processes" and 2**20 < found["memory"]["bytes"] < 2**30
    assert found["memory"]["kv_cache"] == 0.25
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")


def test_an_objective_counts_what_is_within_it() -> None:
    with slow_server(first=FIRST, between=BETWEEN) as url:
        assert level(url, "--slo", "ttft=49ms")["good_share"] == 0.0
        assert level(url, "--slo", "itl=5ms")["good_share"] == 0.0


@pytest.mark.timed
def test_a_server_that_bundles_tokens_is_judged_by_its_tokens() -> None:
    with slow_server(first=0.01, between=0.02, bundle=4) as url:
        found = level(url)
    assert (found["chunks"], found["tokens_out"]) == (24 * 5, 24 * 20)
    assert found["itl"]["median"] == pytest.approx(0.02, abs=0.005)
    assert found["per_token"]["median"] == pytest.approx(4 * 0.02 / 19, abs=0.001)


def test_a_server_that_counts_no_tokens_is_judged_by_its_chunks() -> None:
    with slow_server(first=0.01, between=0.001, usage=False) as url:
        found = level(url)
    assert (found["tokens_in"], found["tokens_out"], found["dollars_per_million"]) == (None, 24 * TOKENS, None)


def test_every_third_request_that_fails_is_counted() -> None:
    with slow_server(first=0.01, between=0.001, fail_every=3) as url:
        found = level(url)
    assert (found["succeeded"], found["ttft"]["count"]) == (16, 16)
    assert found["faults"] == {"http 500": {"count": 8, "example": "planned"}}
    assert found["tokens_out"] == 16 * TOKENS


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("hang", "timeout", "no whole answer within 0.5 s, after 0 chunks"),
        ("hang_midway", "timeout", "after 10 chunks"),
        ("close", "closed", ""),
        ("cut", "cut", "the stream ended after 10 chunks"),
        ("garbage", "unreadable", "{no json"),
        ("error_event", "error", "the engine died"),
        ("empty", "empty", "no text"),
        ("busy", "http 429", "too many requests"),
    ],
)
def test_each_fault_is_told_from_the_others(fault: str, kind: str, words: str) -> None:
    with slow_server(first=0.01, between=0.001, fault=fault, fault_every=2) as url:
        found = level(url, "--timeout", "0.5", "--requests", "12", "--slo", "ttft=9s")
    [(seen, told)] = found["faults"].items()
    assert (seen, told["count"]) == (kind, 6) and words in told["example"]
    assert found["succeeded"] == 6 and found["good_share"] == 0.5


def test_a_server_that_never_answers_is_given_up_at_once() -> None:
    with slow_server(fault="hang") as url, pytest.raises(ConfigError, match="answers no request to 'slow': timeout"):
        bench(url, "--timeout", "0.3")


def test_a_server_that_breaks_under_load_ends_the_sweep_with_what_was_measured() -> None:
    # Three warm-ups and eight requests are answered well, every later one in vain.
    with slow_server(first=0.01, between=0.001, fault="busy", fault_after=11) as url:
        words = ("--concurrency", "1,2,4", "--requests", "8", "--tokens-in", "9", "--tokens-out", "4")
        with pytest.raises(StageError, match="answered nothing well at 2: 8 of 8 requests failed: http 429") as caught:
            bench(url, *words)
        assert caught.value.exit_code == 1


@pytest.mark.timed
def test_arrivals_at_a_rate_wait_for_a_server_that_is_too_slow() -> None:
    # One place, 0.1 s a request: 40 arrivals a second pile up, and each waits for those before it.
    with slow_server(first=0.1, between=0.0, slots=1) as url:
        words = ("--rate", "40", "--requests", "20", "--tokens-out", "1", "--json")
        found = json.loads(bench(url, *words).stdout)["endpoints"][0]["levels"][0]
    assert found["rate"] == 40 and found["succeeded"] == 20
    assert found["requests_per_second"] <= 10.0
    assert found["ttft"]["p95"] > 1.0 and found["late"]["median"] < 0.05


@pytest.mark.timed
def test_two_servers_are_compared_in_turns() -> None:
    with ExitStack() as stack:
        fast = stack.enter_context(slow_server(first=FIRST, between=BETWEEN))
        slow = stack.enter_context(slow_server(first=4 * FIRST, between=3 * BETWEEN))
        shown = measure(fast, "--against", f"other@{slow}", "--requests", "16", "--price", "1", "--price", "2")
    assert [one["dollars_per_hour"] for one in shown["endpoints"]] == ["1", "2"]
    [ratio] = shown["ratios"]
    assert ratio["endpoint"].startswith("other@") and ratio["to"].startswith("slow@") and shown["rounds"] == 4
    assert 2.0 <= ratio["ttft"]["ratio"] <= 4.0 and 2.0 <= ratio["per_token"]["ratio"] <= 3.3
    assert (
        ratio["per_token"]["lowest"] <= ratio["per_token"]["highest"]
        and ratio["output_tokens_per_second"]["ratio"] < 0.6
    )


def test_prompts_have_about_the_tokens_that_were_asked_for() -> None:
    with slow_server(first=0.001, between=0.0) as url:
        found = level(url, "--tokens-in", "300", "--tokens-out", "1")
    # This server counts words, and seven more for its template.
    assert found["tokens_in"] == 24 * 300


def test_prompts_of_a_dataset_are_sent(tmp_path: Path) -> None:
    section = read_section("gym", {}, ["examples=40", "tasks={basic_arithmetic: {}}"])
    build_dataset(section, 0, Settings(), tmp_path / "set")
    with slow_server(first=0.001, between=0.0) as url:
        shown = measure(url, "--dataset", tmp_path / "set", "--split", "train", "--requests", "50")
    assert shown["prompts"] == f"{tmp_path / 'set'}, train"
    assert shown["endpoints"][0]["levels"][0]["succeeded"] == 50


def test_a_key_is_sent_where_it_belongs_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_server(first=0.001, between=0.0, key="sk-of-the-first") as url:
        with pytest.raises(ConfigError, match="401: set CORTEX_BENCH_API_KEY"):
            bench(url)
        monkeypatch.setenv("CORTEX_BENCH_API_KEY", "sk-of-the-first")
        done = bench(url, "--requests", "4", "--concurrency", "1", "--json")
        assert done.exit_code == 0 and "sk-of" not in done.output
        with slow_server(first=0.001, between=0.0, key="sk-of-the-second") as other:
            with pytest.raises(ConfigError, match="401: set CORTEX_AGAINST_API_KEY"):
                bench(url, "--against", other)
            monkeypatch.setenv("CORTEX_AGAINST_API_KEY", "sk-of-the-second")
            few = ("--requests", "4", "--concurrency", "1")
            assert bench(url, "--against", f"b@{other}", *few).exit_code == 0
    with pytest.raises(ConfigError, match="would travel to http://10"):
        bench("http://10.0.0.9/v1")


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/v1"
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9/v1/models does not answer"):
        bench(nobody)
    with pytest.raises(ConfigError, match="answers no request to 'm': unreachable"):
        bench(f"m@{nobody}")
    for words, said in (
        (("ftp://host",), "does not begin with http"),
        ((nobody, "--concurrency", "1", "--rate", "1"), "give one"),
        ((nobody, "--dataset", "a", "--profile", "b"), "give one"),
        ((nobody, "--price", "1", "--instance", "aws/g6.xlarge"), "give one"),
        ((nobody, "--price", "1", "--price", "2"), "2 prices for 1 endpoints"),
        ((nobody, "--instance", "g6.xlarge"), "write cloud/type"),
        ((nobody, "--spot"), "name it with --instance"),
        ((nobody, "--plot", tmp_path / "none" / "plot.svg"), "is no folder"),
    ):
        with pytest.raises(UsageError, match=said):
            bench(*words)
    with slow_server(first=0.001) as url, pytest.raises(UsageError, match="named twice"):
        bench(url, "--against", url)


@pytest.mark.parametrize("words", ["--price nan", "--price -1", "--slo ttft=1", "--requests 0", "--timeout nan"])
def test_options_that_cannot_be_end_with_2(words: str) -> None:
    assert bench("http://127.0.0.1:9/v1", *words.split()).exit_code == 2
