"""Dune's client against a server that speaks Dune's protocol, in the data image's environment."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cortex.domains.markets.config import DataConfig, DuneConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.dune import DuneSource
from cortex.domains.markets.sources import open_source
from cortex.errors import ConfigError
from cortex.settings import Settings
from tests.domains.markets.test_flipside import run_program

pytestmark = pytest.mark.integration

ROWS = 3000


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Results of all scenarios of `dune_program.py`."""
    return run_program(Path(__file__).with_name("dune_program.py"))


def test_a_saved_query_gives_prices_and_metrics_and_says_what_it_cost(told: dict[str, Any]) -> None:
    found = told["rows_and_revisions"]
    assert found["rows"] == ROWS and found["first"] == ["S0", "2019-01-02 00:00:00+00:00", 1.0, 1.0, 1.0, 1.0]
    assert found["fees"] == 1.0 and found["parameters"] == {"start": "2019-01-01", "end": "2022-03-01"}
    assert found["cost"] == {"credits": 1.5} and found["made by"] == "query 7 of dune"


def test_what_is_kept_is_not_asked_for_and_revisions_are_counted(told: dict[str, Any]) -> None:
    assert told["rows_and_revisions"]["kept"] is True and told["rows_and_revisions"]["revised"] == ROWS


def test_limits_of_requests_and_pages_are_kept(told: dict[str, Any]) -> None:
    assert told["limits"] == ROWS


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("html", 65, "dune answers with '<html>Sign in</html>', which is not its form"),
        ("null", 65, "dune answers with 'null', which is not its form"),
        ("half", 65, "which is not its form"),
        ("other form", 65, "Can't build ResultsResponse from {'message': 'moved'}"),
        ("revoked", 78, "dune refuses the API key: set CORTEX_DUNE_API_KEY"),
        ("billing", 78, "dune's credits are used up"),
        ("clock", 78, "h behind dune's, so that days would be cut wrong: set the clock"),
    ],
)
def test_a_fault_half_way_is_one_line_and_the_query_is_not_paid_twice(
    told: dict[str, Any], fault: str, code: int, words: str
) -> None:
    found = told["faults"][fault]
    assert words in found["told"]["error"] and "\n" not in found["told"]["error"]
    assert found["told"]["code"] == code
    assert found["rows"] == ROWS and found["runs"] == 1


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        ("key", 78, "dune refuses the API key"),
        ("query", 78, "dune knows no query 8: save one, and name its number"),
        ("FAILED", 65, "dune could not run query 7: line 1:8: Column 'x' cannot be resolved"),
        ("COMPLETED_PARTIAL", 65, "cut the result of query 7 off"),
        ("CANCELLED", 65, "was cancelled"),
        ("expired", 65, "forgot the result of dune 3 times"),
    ],
)
def test_refusals_are_said(told: dict[str, Any], refusal: str, code: int, words: str) -> None:
    assert words in told["refusals"][refusal]["error"] and told["refusals"][refusal]["code"] == code


def test_a_key_is_needed_and_never_shown() -> None:
    data = DataConfig(source=DuneConfig(query=7))
    with pytest.raises(ConfigError, match="set CORTEX_DUNE_API_KEY"):
        open_source(data, seed=0, settings=Settings(dune_api_key=None))
    source = open_source(data, seed=0, settings=Settings(dune_api_key=SecretStr("hush")))
    assert isinstance(source, DuneSource) and "hush" not in str(source.describe()) + repr(source)
    assert Markets.model_validate({"source": {"kind": "dune", "query": 7}}).key_variables() == ("CORTEX_DUNE_API_KEY",)
