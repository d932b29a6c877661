"""Latencies that `cortex bench serve` measures of servers whose latencies are known."""

import json
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benching.benches import BETWEEN, FIRST, TOKENS, bench, level, measure, slow_server

pytestmark = [pytest.mark.rehearsal, pytest.mark.timed]

LATE = 0.03
"""Seconds by which a median may be above the server's own: a busy machine wakes both programs late, never early."""


def test_known_latencies_are_measured(tmp_path: Path) -> None:
    with slow_server(first=FIRST, between=BETWEEN) as url:
        shown = measure(url, "--price", "3.6", "--slo", "ttft=1s,itl=1s", "--plot", tmp_path / "plot.svg")
    found = shown["endpoints"][0]["levels"][0]
    assert (found["requests"], found["succeeded"], found["faults"]) == (24, 24, {})
    # The chunk of the role comes at once, and is no token.
    assert FIRST <= found["ttft"]["median"] <= FIRST + LATE
    assert BETWEEN - 0.002 <= found["itl"]["median"] <= BETWEEN + 0.005
    assert BETWEEN - 0.002 <= found["per_token"]["median"] <= BETWEEN + 0.01
    assert found["itl"]["count"] == 24 * (TOKENS - 1)
    assert (found["ttft"]["count"], found["ttft"]["p99"]) == (24, None), "24 values have no 99th percentile"
    assert found["itl"]["median"] <= found["itl"]["p95"] <= found["itl"]["p99"]
    assert found["tokens_out"] == found["chunks"] == 24 * TOKENS
    # Four at a time, each FIRST + 19 * BETWEEN = 0.24 s long.
    ideal = 4 * TOKENS / (FIRST + (TOKENS - 1) * BETWEEN)
    assert 0.5 * ideal <= found["output_tokens_per_second"] <= ideal
    assert found["good_share"] == 1.0
    # $3.60 an hour are a thousandth of a dollar a second.
    assert float(found["dollars_per_million_output"]) == pytest.approx(
        0.001 / found["output_tokens_per_second"] * 1e6, rel=1e-4
    )
    assert found["memory"]["source"] == "processes" and 2**20 < found["memory"]["bytes"] < 2**30
    assert found["memory"]["kv_cache"] == 0.25
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")


def test_a_server_that_bundles_tokens_is_judged_by_its_tokens() -> None:
    with slow_server(first=0.01, between=0.02, bundle=4) as url:
        found = level(url)
    assert (found["chunks"], found["tokens_out"]) == (24 * 5, 24 * 20)
    assert 0.018 <= found["itl"]["median"] <= 0.025
    # Five chunks, so four gaps, for nineteen tokens after the first.
    assert 4 * 0.018 / 19 <= found["per_token"]["median"] <= 4 * 0.03 / 19


def test_arrivals_at_a_rate_wait_for_a_server_that_is_too_slow() -> None:
    # One place, 0.1 s a request: 40 arrivals a second pile up, and each waits for those before it.
    with slow_server(first=0.1, between=0.0, slots=1) as url:
        words = ("--rate", "40", "--requests", "20", "--tokens-out", "1", "--json")
        found = json.loads(bench(url, *words).stdout)["endpoints"][0]["levels"][0]
    assert found["rate"] == 40 and found["succeeded"] == 20
    assert found["requests_per_second"] <= 10.0
    assert found["ttft"]["p95"] > 1.0 and found["late"]["median"] < 0.05


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
