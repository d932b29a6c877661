"""Flipside's own SDK, the kit's pulls and the local warehouse together, in the data image's environment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex.local.environments import environment
from cortex.settings import CHECKOUT, Settings

pytestmark = pytest.mark.integration

ROWS = 33 * 30 * 24


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Results of all scenarios of `flipside_program.py`."""
    return run_program(Path(__file__).with_name("flipside_program.py"))


def run_program(program: Path, *words: str) -> dict[str, Any]:
    """The JSON that a program prints in the data image's environment."""
    python = environment("data", Settings()) / "bin" / "python"
    variables = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "NO_PROXY": "*"}
    done = subprocess.run([python, program, *words], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_sdk_as_it_is_pages_through_the_warehouse(told: dict[str, Any]) -> None:
    found = told["sdk_as_it_is"]
    assert found["records"][0] == {"symbol": "1INCH", "n": 30 * 24, "__row_index": 0}
    assert found["second"] == ["GRT", 30 * 24, 10], "the first row of the second page"
    assert found["pages"] == 1 and "totalRows=33 totalPages=4" in found["n"]


def test_smaller_pages_give_the_same_parts_and_a_second_pull_asks_for_nothing(told: dict[str, Any]) -> None:
    found = told["parts_are_the_same_with_smaller_pages"]
    assert found["rows"] == ROWS and found["equal"] is True
    assert found["pages"] > 10 and found["kept"] == [False, False, True]
    assert found["cost"] == ["query-seconds"]


def test_pages_that_cannot_be_small_enough_are_refused(told: dict[str, Any]) -> None:
    assert "does not send even 625 rows" in told["too_small_pages"]["error"]


def test_limits_of_queries_and_requests_are_waited_for(told: dict[str, Any]) -> None:
    found = told["too_many_queries_wait"]
    assert found["rows"] == ROWS and told["rate_limit_is_waited_for"] == ROWS
    assert "runs as many queries of this key as it may" in found["never"]["error"]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("html", 65, "answers getQueryRunResults with '<html><body>Sign in</body></html>', which is no JSON"),
        ("null", 65, "with neither a result nor an error"),
        ("half", 65, "which is no JSON"),
        ("no rows", 65, "in another form than its SDK"),
        ("revoked", 78, "refuses the API key: set CORTEX_FLIPSIDE_API_KEY"),
        ("billing", 78, "asks for a payment method"),
        ("clock", 78, "h behind flipside's, so that days would be cut wrong: set the clock"),
        ("unknown", 65, "answers with an error: UnknownAPIError: message=a new kind, code=-7"),
    ],
)
def test_a_fault_half_way_is_one_line_and_the_next_pull_goes_on(
    told: dict[str, Any], fault: str, code: int, words: str
) -> None:
    found = told["a_revoked_key_keeps_what_is_there"][fault]
    assert words in found["told"]["error"] and "\n" not in found["told"]["error"]
    assert found["told"]["code"] == code
    assert found["kept"] == 2 and found["rows"] == ROWS and found["asked again"] == 0


def test_parts_of_two_runs_are_never_mixed(told: dict[str, Any]) -> None:
    found = told["a_forgotten_run_begins_anew"]
    assert found["kept"] == 1 and found["rows"] == ROWS and found["all of one run"] is True
    assert "forgot the result of rows 3 times" in found["never"]["error"]


def test_revised_rows_are_counted_by_a_pull_that_asks_anew(told: dict[str, Any]) -> None:
    found = told["revisions_are_seen_when_asked_for"]
    assert found["kept"] is True and found["other"] is True and found["revised"] == 24
    assert found["replaced"] == [True] and found["of old"] > 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("column", 'could not run the query: QueryRunExecutionError: .*"nope" not found'),
        ("write", "SQL compilation error: write one select statement"),
        ("two", "SQL compilation error: write one select statement"),
        ("text", "sent a a that is no Float64 among the rows 1 to 1 of text"),
    ],
)
def test_a_statement_that_fails_says_why(told: dict[str, Any], name: str, words: str) -> None:
    assert re.search(words, told["statements_that_fail"][name]["error"])


def test_what_duckdb_has_no_equal_of_is_refused_rather_than_changed(told: dict[str, Any]) -> None:
    refused = told["refused"]
    assert "'format' is not supported" in refused["select to_char(hour, 'YYYY') from a.b.c"]
    assert all(words.startswith("SQL compilation error") for words in refused.values())


def test_a_wrong_key_and_a_plan_that_is_used_up_are_said(told: dict[str, Any]) -> None:
    found = told["the_key_and_the_plan_are_checked"]
    assert "refuses the API key" in found["wrong"]["error"] and found["wrong"]["code"] == 78
    assert "asks for a payment method" in found["plan"]["error"] and found["plan"]["code"] == 78


def test_a_warehouse_of_simulated_bars_gives_those_bars_for_33_assets(told: dict[str, Any]) -> None:
    found = told["source"]
    assert found == {
        "assets": 33,
        "equal": True,
        "active": True,
        "metrics": ["active", "fees", "swaps"],
        "of tokens": True,
    }


def test_a_pull_that_is_killed_again_and_again_gives_equal_bytes() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "scripts" / "bench" / "pulls.py", "--rows", "60000", "--kills", "3", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["kills"] >= 2 and measured["equal"] is True and measured["parts"] == 7
