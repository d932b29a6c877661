"""The router: fixed, by share, and from a small model to a large one behind another gateway, both accounted for."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.open_store import open_store
from cortex.serving.api_keys import make_key, write_key
from tests.serving.conftest import HELLO, Gateway, until
from tests.serving.test_gateway import FORECAST, NOW

pytestmark = pytest.mark.integration

NEAR = {"symbol": "NEAR", "date": "2020-07-01"}
CERTAIN, UNCERTAIN = FORECAST.replace("0.6", "0.95"), FORECAST.replace("0.6", "0.55")
"""Uncertainties of 0.19 and 0.99: the program's release has no record to calibrate them by."""


def write_routes(folder: Path, large: str, rule: str) -> list[str]:
    path = folder / "routes.yaml"
    small = "rehearsal: {release: here, dollars_per_million_tokens: 1}"
    path.write_text(f"models:\n  {small}\n  large: {large}\ndomains:\n  markets: {rule}\n")
    return ["--routes", str(path)]


@pytest.fixture
def two(own: Callable[..., Gateway], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Gateway, Gateway]:
    """A gateway with the small model, and the one with the large model that it escalates to."""
    text, record = make_key("door", ("domains", "chat"), 1000, NOW)
    write_key(open_store(str(tmp_path / "bucket")), record)
    large = own(bucket=tmp_path / "bucket")
    monkeypatch.setenv("LARGE_KEY", text)
    upstream = f"{{upstream: 'http://127.0.0.1:{large.port}', model: rehearsal, key_from: LARGE_KEY, "
    upstream += "dollars_per_million_tokens: 100}"
    escalate = "{escalate: {first: rehearsal, then: large, above: 0.9}}"
    words = write_routes(tmp_path, upstream, escalate)
    return own(words=words, dollars_per_million_tokens=1), large


def ask(gateway: Gateway, query: str = "") -> dict[str, Any]:
    answer = gateway.post(f"/v1/forecast{query}", NEAR)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_large_model_is_asked_where_the_small_one_is_not_enough(two: tuple[Gateway, Gateway]) -> None:
    door, large = two
    large.reply(FORECAST.replace("0.6", "0.8"))
    door.reply(CERTAIN)
    found = ask(door)
    assert found["model"] == found["route"]["arm"] == "rehearsal" and found["answer"]["p_up"] == 0.95
    assert found["uncertainty"] == pytest.approx(0.19) and found["route"]["reason"] is None and not large.asked

    door.reply(UNCERTAIN)
    found = ask(door)
    assert (found["model"], found["answer"]["p_up"]) == ("large", 0.8)
    assert "uncertainty of rehearsal is 0.990" in found["route"]["reason"]
    prices = [(one["model"], one["dollars"]) for one in found["route"]["asked"]]
    assert prices == [("rehearsal", pytest.approx(12e-6)), ("large", pytest.approx(1200e-6))]
    assert found["usage"] == {"prompt_tokens": 14, "completion_tokens": 10}

    door.reply("no form at all")
    found = ask(door, "?view=true")
    assert found["view"]["facts"][0] == {"label": "Probability of a rise", "value": "80%"}
    assert found["model"] == "large" and not found["abstained"] and "held back" in found["route"]["reason"]
    assert door.get("/v1/usage").json() == {"tokens": 60, "dollars": pytest.approx(36e-6 + 2400e-6)}
    arms = 'cortex_routed_total{arm="%s",domain="markets",rule="escalate"}'
    assert (door.metric(arms % "rehearsal"), door.metric(arms % "large")) == (1, 2)
    until(lambda: door.said().count('"routes"') == 3, "a line of the log for each")
    line = [line for line in door.said().splitlines() if '"routes"' in line][-1]
    (noted,) = json.loads(line[line.index("{") :])["routes"]
    assert noted["rule"] == "escalate" and noted["arm"] == "large" and noted["asked"] == ["rehearsal", "large"]


def test_the_small_answer_stands_where_the_large_model_cannot_be_asked(two: tuple[Gateway, Gateway]) -> None:
    door, large = two
    large.end()
    door.reply(UNCERTAIN)
    found = ask(door)
    assert found["model"] == "rehearsal" and "large could not be asked" in found["route"]["reason"]
    assert door.post("/v1/forecast?model=large", NEAR).status_code == 503
    assert door.get("/readyz").status_code == 200


def test_the_model_of_another_gateway_is_asked_by_its_name_here(two: tuple[Gateway, Gateway]) -> None:
    door, large = two
    large.reply(FORECAST)
    found = ask(door, "?model=large")
    assert found["model"] == "large" and found["route"]["rule"] == "named"
    assert "door" not in json.dumps(found)
    assert door.post("/v1/chat/completions", {**HELLO, "model": "large"}).status_code == 200
    stream = door.post("/v1/chat/completions", {**HELLO, "model": "large", "stream": True}).text
    assert stream.endswith("data: [DONE]\n\n") and "usage" not in stream
    assert door.metric('cortex_tokens_total{caller="anyone",kind="answer",model="large"}') == 15
    assert [entry["id"] for entry in door.get("/v1/models").json()["data"]] == ["rehearsal", "large"]


def test_requests_are_shared_and_the_same_id_has_the_same_model(own: Callable[..., Gateway], tmp_path: Path) -> None:
    share = "{share: {models: {rehearsal: 0.5, large: 0.5}, by: request}}"
    words = [*write_routes(tmp_path, "{release: here}", share), "--also", "large"]
    gateway = own(words=words)
    gateway.reply(FORECAST)
    gateway.reply(FORECAST, "large")
    arms = Counter[str]()
    for number in range(40):
        headers = {"X-Request-Id": f"request-{number}"}
        first, again = (gateway.post("/v1/forecast", NEAR, headers=headers).json() for _ in range(2))
        assert first["route"]["arm"] == again["route"]["arm"] == first["model"] and first["route"]["rule"] == "share"
        arms[first["model"]] += 1
    assert set(arms) == {"rehearsal", "large"} and min(arms.values()) >= 8
    counted = {name: gateway.metric(f'cortex_routed_total{{arm="{name}"') for name in arms}
    assert counted == {name: 2 * count for name, count in arms.items()}


def test_a_fixed_model_answers_a_domain(own: Callable[..., Gateway], tmp_path: Path) -> None:
    gateway = own(words=[*write_routes(tmp_path, "{release: here}", "{fixed: large}"), "--also", "large"])
    gateway.reply(FORECAST, "large")
    found = ask(gateway)
    assert found["model"] == "large" and found["route"]["rule"] == "fixed" and not gateway.asked
    batch = gateway.post("/v1/markets/batch", {"requests": [NEAR, {**NEAR, "date": "2031-01-01"}]}).json()
    assert batch[0]["route"]["arm"] == "large" and batch[1]["error"]["code"] == 422
