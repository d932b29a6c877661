"""The page's files and what it asks the gateway: the files hold no data, and only a view is for people."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex.serving.page_routes import HEADERS
from tests.serving.conftest import Gateway, start

pytestmark = pytest.mark.integration

FORECAST = (
    '<think>flow is low</think><answer>{"p_up":0.54,"direction":"up","return_pct":1,"interval_pct":[-4,6]}</answer>'
)
ASKED = {"symbol": "NEAR", "date": "2020-07-01"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that all tests here use, whose model was judged on many dates."""
    gateway = start(tmp_path_factory.mktemp("gateway"), words=["--long"])
    yield gateway
    gateway.process.kill()
    gateway.process.wait()


def test_the_page_holds_no_data_and_names_no_other_host(gateway: Gateway) -> None:
    page = gateway.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert "NEAR" not in page.text and "rehearsal" not in page.text
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    for path in [*named, "/page/answer.js", "/page/chart.js", "/page/form.js", "/page/elements.js"]:
        found = gateway.get(path)
        assert found.status_code == 200 and path.startswith("/")
        if path != "/docs":  # the framework's own page
            assert {name: found.headers[name] for name in HEADERS} == HEADERS
            assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", found.text)


def test_it_runs_no_script_and_no_style_within_its_text(gateway: Gateway) -> None:
    text = gateway.get("/").text
    assert not re.search(r"<style|<script(?![^>]* src=)| on\w+=| style=", text)
    policy = gateway.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy


@pytest.mark.parametrize("name", ["nothing.js", "..%2fgateway.py", "%2e%2e", "__init__.py"])
def test_no_other_file_is_given(gateway: Gateway, name: str) -> None:
    assert gateway.get(f"/page/{name}").status_code == 404


def test_the_domains_are_described(gateway: Gateway) -> None:
    (offer,) = gateway.get("/v1/domains").json()
    assert (offer["domain"], offer["alias"], offer["path"]) == ("markets", "forecast", "/v1/markets")
    symbol, date = offer["fields"]
    assert symbol["choices"] == ["BTC", "ETH", "NEAR"] and date["limited_by"] == "symbol"
    first, last = date["limits"]["NEAR"]
    gateway.reply(FORECAST)
    for day in (first, last):
        assert gateway.post(offer["path"], {"symbol": "NEAR", "date": day}).status_code == 200
    assert offer["model"] == "rehearsal"


def test_a_domain_with_a_rule_is_offered_by_it_first(own: Callable[..., Gateway], tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "models: {rehearsal: {release: a}, large: {release: b}}\ndomains: {markets: {fixed: large}}\n", encoding="utf-8"
    )
    gateway = own(words=["--long", "--also", "large", "--routes", str(routes)])
    offers = gateway.get("/v1/domains").json()
    assert [offer["model"] for offer in offers] == [None, "rehearsal", "large"]
    gateway.reply(FORECAST, "large")
    found = gateway.post("/v1/markets?view=true", ASKED).json()
    assert found["model"] == "large" and found["view"]["chart"] and found["evidence"]["skill_shown"]


def test_a_view_is_given_where_it_is_asked_for(gateway: Gateway) -> None:
    gateway.reply(FORECAST)
    assert gateway.post("/v1/forecast", ASKED).json()["view"] is None
    view = gateway.post("/v1/forecast?view=true", ASKED).json()["view"]
    assert view["chart"]["points"][-1]["label"] == "2020-07-01"
    assert any("trained on data up to" in remark for remark in view["remarks"])
    like, every = view["shares"][:2]
    assert like["interval"]["low"] < like["share"] < like["interval"]["high"] and like["examples"] < every["examples"]
    features = dict.fromkeys(("mom7", "mom30", "vol", "draw", "range", "flow", "whales", "active", "fees"), 0.0)
    given = {"symbol": "NEAR", "features": {**features, "stables": 0.0}}
    answer = gateway.post("/v1/forecast?view=true", given).json()
    assert answer["view"]["chart"] is None and answer["view"]["shares"][0] == like
