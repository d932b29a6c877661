"""`cortex bench serve` on servers of known faults, and on what cannot be measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.domains.dataset import build_dataset
from cortex.errors import ConfigError, StageError, UsageError
from cortex.profiles.profile_file import read_section
from cortex.settings import CHECKOUT, Settings
from tests.benching.benches import BETWEEN, FIRST, TOKENS, bench, level, measure, slow_server
from tests.conftest import environment
from tests.testbed.catalog import price, write_catalogs

pytestmark = pytest.mark.integration


def test_an_objective_counts_what_is_within_it() -> None:
    with slow_server(first=FIRST, between=BETWEEN) as url:
        assert level(url, "--slo", "ttft=49ms")["good_share"] == 0.0
        assert level(url, "--slo", "itl=1ms")["good_share"] == 0.0


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
        ("hang", "timeout", "no whole answer within 1 s, after 0 chunks"),
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
        found = level(url, "--timeout", "1", "--requests", "12", "--slo", "ttft=9s")
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


def test_prompts_of_a_profile_are_sent(tmp_path: Path) -> None:
    profile = tmp_path / "few.yaml"
    counts = "examples: 20, validation_examples: 10, test_examples: 10"
    profile.write_text(f"extends: rehearsal-gym\nname: few\ndomain: {{{counts}}}\nteacher: {{examples: 20}}\n")
    with slow_server(first=0.001, between=0.0) as url:
        done = bench(url, "--profile", profile, "--requests", "8", "--concurrency", "1", "--json")
    shown = json.loads(done.stdout)
    assert shown["prompts"] == f"{profile}, test"
    assert shown["endpoints"][0]["levels"][0]["tokens_out"] == 8 * shown["max_tokens"]


def test_an_instance_has_the_price_of_the_catalog(tmp_path: Path) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    words = ("m@http://127.0.0.1:9/v1", "--instance", "aws/us-east-1/g6.xlarge", "--spot")
    done = subprocess.run(
        [sys.executable, "-m", "cortex", "bench", "serve", *words],
        env={**environment(tmp_path), "HOME": str(tmp_path)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"g6.xlarge in us-east-1: ${price('g6.xlarge', 'us-east-1', spot=True)} an hour on spot" in done.stderr
    assert done.returncode == 78 and "unreachable" in done.stderr
