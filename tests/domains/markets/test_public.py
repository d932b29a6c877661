"""ccxt and DefiLlama's SDK against a server that speaks their services' protocols, in the data image's environment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex.settings import CHECKOUT, Settings
from tests.domains.markets.test_flipside import run_program

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Results of all scenarios of `public_program.py`."""
    return run_program(Path(__file__).with_name("public_program.py"))


def test_days_of_prices_and_metrics_end_with_the_last_complete_day(told: dict[str, Any]) -> None:
    found = told["days_of_prices_and_metrics"]
    assert found["rows"] == found["metric days"] == 699, "700 days, of which the last is not over"
    assert found["first"] == ["NEAR", "2022-01-02 00:00:00+00:00", 1.02, 1.122, 0.918, 1.0302]
    assert found["last"] == "2023-12-01 00:00:00+00:00"
    assert found["tvl"] == found["stablecoins"] == 2e5
    assert found["pages"] == 3, "of 300 candles"


def test_a_second_load_asks_for_nothing_and_the_dataset_names_its_makers(told: dict[str, Any]) -> None:
    found = told["days_of_prices_and_metrics"]
    assert found["second"] == 0 and found["equal"] is True
    assert found["made by"] == "coinbaseexchange by ccxt and defillama"
    assert found["series"] == 2 * 5, "candles and four metrics of two assets"


def test_intraday_bars_close_at_their_end_and_other_lengths_are_refused(told: dict[str, Any]) -> None:
    found = told["intraday_bars_keep_daily_metrics"]
    assert found["rows"] == 35 * 24 and found["first"] == "2022-01-01 01:00:00+00:00"
    assert "coinbaseexchange has no bars of 2h: it has 15m, 1d, 1h" in found["refused"]["error"]


def test_assets_and_metrics_that_cannot_be_had_are_named(told: dict[str, Any]) -> None:
    found = told["absent_assets_and_metrics_are_said"]
    assert found["notes"] == ["not listed by coinbaseexchange for USD: DOGE, BCH", "defillama has no fees of Near"]
    assert found["nulls"] is True
    assert "coinbaseexchange has no prices of DOGE in USD" in found["none"]["error"]
    assert "ccxt knows no 'coinbaseexchang': did you mean 'coinbaseexchange'" in found["exchange"]["error"]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("products html", 65, "an answer that is no JSON, such as a page of a proxy"),
        ("products null", 65, "an answer that is no JSON"),
        ("products half", 65, "an answer that is no JSON"),
        ("products other form", 65, 'ExchangeError: coinbaseexchange {"message":"moved"}'),
        ("products no number", 65, "an answer that is no list of candles"),
        ("products clock", 78, "h behind coinbaseexchange's, so that days would be cut wrong: set the clock"),
        ("products barred", 78, "does not serve this machine's place, or asks for a key"),
        ("products too many", 65, "too many requests: try again later; what is here is kept"),
        ("products broken", 65, "502 Bad Gateway"),
        ("v2 html", 65, "an answer that is no JSON, such as a page of a proxy, or half of it"),
        ("v2 null", 65, "null in place of an answer"),
        ("v2 half", 65, "an answer that is no JSON"),
        ("v2 other form", 65, "{'message': 'moved'} is not in the form that its SDK knows"),
        ("v2 no number", 65, "is not in the form that its SDK knows"),
        ("v2 barred", 65, "defillama refuses the request with 451"),
        ("v2 too many", 65, "too many requests (429): try again later"),
        ("v2 broken", 65, "its server answers 502"),
        ("v2 long wait", 65, "too many requests (429): try again later"),
    ],
)
def test_a_fault_is_one_line_and_never_a_gap(told: dict[str, Any], fault: str, code: int, words: str) -> None:
    found = told["faults_are_one_line_each"][fault]
    assert words in found["told"]["error"] and "\n" not in found["told"]["error"]
    assert found["told"]["code"] == code
    assert found["kept"] == (3 if fault.startswith("v2") else 1), "what came before the fault"
    assert found["rows"] == 2 * 699, "a load after the fault has all rows"


def test_a_limit_is_waited_for_and_a_long_one_is_not(told: dict[str, Any]) -> None:
    assert told["limits_are_waited_for"] == 2 * 699
    assert told["faults_are_one_line_each"]["v2 long wait"]["tries"] == 1
    assert told["faults_are_one_line_each"]["v2 too many"]["tries"] == 6


def test_revised_rows_are_counted_when_asked_anew(told: dict[str, Any]) -> None:
    assert told["revisions"] == {"kept": None, "revised": 2 * 4 * 699, "asked": 10, "replaced": 8}


def test_without_a_key_the_stand_in_is_taken_and_said_and_with_one_it_is_not(told: dict[str, Any]) -> None:
    found = told["choice"]
    assert found["chosen"] == ["PublicSource", "FlipsideSource"]
    said = "CORTEX_FLIPSIDE_API_KEY is not set: the data come from coinbaseexchange and DefiLlama"
    assert found["said"] == [said]


def test_a_pull_alone_accounts_for_its_rows_and_a_second_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "environments").symlink_to(Settings().environments.resolve())
    profile = tmp_path / "p.yaml"
    profile.write_text(
        "extends: rehearsal-flipside\nname: p\ndomain: {source: {start: 2010-01-01, end: 2010-03-01, tokens: true, "
        "warehouse: {kind: simulator, chains: 30, days: 90, start: 2010-01-01}}}\n"
    )
    variables = {**os.environ, "CORTEX_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cortex", "data", "pull", str(profile)]

    def pull(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=variables, capture_output=True, encoding="utf-8", check=False, cwd=CHECKOUT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = pull()
    assert "made by       a local warehouse" in first
    assert f"rows          {30 * 59 + 33 * 59:,}" in first, "prices of 30 assets, metrics of 33"
    assert "30 symbols, 2010-01-01 to 2010-02-28" in first and "gap           none" in first
    assert "4 of 4 statements asked for" in first
    assert "cannot be had flipside has no prices of PYTH, WIF, HNT in these days" in first
    (report,) = json.loads(pull("--json"))
    assert report["cost"] == "0.0 query-seconds; 0 of 4 statements asked for"
    assert "4 of 4 statements asked for; 0 rows were revised since" in pull("--fresh")
