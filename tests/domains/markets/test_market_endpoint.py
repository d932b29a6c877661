"""The endpoint of markets: a service asks as the training did, and decoding keeps to what the protocol can read."""

import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cortex.domains.domain import Built
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.market_endpoint import PATTERN, MarketEndpoint, MarketRequest
from cortex.domains.markets.protocol import Answer, parse_answer, render_answer
from cortex.errors import DataError
from cortex.settings import Settings

DOMAIN = Markets.model_validate(
    {"kind": "markets", "style": "compact", "source": {"kind": "simulator", "chains": 2, "days": 200}}
)


@pytest.fixture(scope="module")
def built() -> Built:
    return DOMAIN.build(3, Settings())


@pytest.fixture(scope="module")
def endpoint(built: Built) -> MarketEndpoint:
    found = DOMAIN.endpoint(json.loads(json.dumps(built.description())), 3, Settings())
    assert isinstance(found, MarketEndpoint)
    return found


def test_a_date_gives_the_prompt_of_the_dataset(built: Built, endpoint: MarketEndpoint) -> None:
    for row in built.examples.sample(20, seed=1).iter_rows(named=True):
        date = row["id"].removeprefix(f"{row['symbol']}-")
        question = endpoint.question(MarketRequest(symbol=row["symbol"], date=date))
        assert question.id == row["id"] and question.text == row["messages"][0]["content"]


def test_features_give_the_prompt_of_the_dataset_in_any_order(built: Built, endpoint: MarketEndpoint) -> None:
    names = [feature["name"] for feature in built.description()["features"]]
    for row in built.examples.sample(20, seed=2).iter_rows(named=True):
        features = {name: row[name] for name in reversed(names)}
        question = endpoint.question(MarketRequest(symbol=row["symbol"], features=features))
        assert question.text == row["messages"][0]["content"]


def test_a_day_without_an_outcome_yet_has_a_question(built: Built, endpoint: MarketEndpoint) -> None:
    """The forecast that a service is for: of the newest bar, of which no example can be made."""
    _, when = endpoint.form()
    date = when.limits["NEAR"][1]
    assert f"NEAR-{date}" > built.examples.filter(symbol="NEAR").select(pl.col("id").max()).item()
    assert endpoint.question(MarketRequest(symbol="NEAR", date=date)).text.startswith("NEAR 1d ")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"symbol": "NEARR", "date": "2020-05-01"}, "did you mean 'NEAR'?"),
        ({"symbol": "NEAR", "date": "2030-01-01"}, "they go from"),
        ({"symbol": "NEAR", "date": "1999-01-01"}, "they go from"),
        ({"symbol": "NEAR", "features": {"mom7": 1.0}}, "missing mom30, vol"),
    ],
)
def test_what_the_data_do_not_have_is_refused(
    endpoint: MarketEndpoint, request_: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        endpoint.question(MarketRequest.model_validate(request_))


def test_a_feature_that_the_model_does_not_know_is_refused(built: Built, endpoint: MarketEndpoint) -> None:
    features = {feature["name"]: 0.0 for feature in built.description()["features"]}
    with pytest.raises(DataError, match="unknown news; the model was trained on mom7"):
        endpoint.question(MarketRequest(symbol="NEAR", features={**features, "news": 1.0}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None])
def test_a_feature_is_a_finite_number(value: object) -> None:
    with pytest.raises(ValidationError):
        MarketRequest.model_validate({"symbol": "NEAR", "features": {"mom7": value}})


@given(
    p_up=st.floats(0, 1),
    returns=st.tuples(*[st.floats(-9999, 9999)] * 3).filter(lambda found: min(found) < max(found)),
    reasoning=st.text(st.characters(exclude_characters="<", exclude_categories=["C", "Z"]), min_size=1),
)
def test_what_the_protocol_writes_is_what_decoding_may_write(
    p_up: float, returns: tuple[float, float, float], reasoning: str
) -> None:
    low, middle, high = sorted(returns)
    direction = "up" if round(p_up, 4) >= 0.5 else "down"
    text = render_answer(Answer(reasoning, p_up, direction, middle, low, high))
    assert re.fullmatch(PATTERN, text), text


@given(st.from_regex(PATTERN, fullmatch=True, alphabet=st.characters(max_codepoint=127, exclude_categories=["C"])))
def test_what_decoding_may_write_is_read_unless_its_interval_or_reasoning_is_odd(text: str) -> None:
    try:
        parse_answer(text)
    except ValueError as error:
        assert "interval" in str(error) or "reasoning is empty" in str(error), error


def test_a_reply_is_read_in_parts(endpoint: MarketEndpoint) -> None:
    read = endpoint.read(render_answer(Answer("flow +1", 0.62, "up", 1.5, -2, 5)))
    assert read.reasoning == "flow +1"
    assert read.answer == {"p_up": 0.62, "direction": "up", "return_pct": 1.5, "interval_pct": [-2.0, 5.0]}
    with pytest.raises(DataError, match="no forecast: no </think>"):
        endpoint.read("I think it rises")
