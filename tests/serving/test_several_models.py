"""Several models behind one gateway: each asked by its name, with an engine, turns and an account of its own."""

import json
import os
import signal
from collections.abc import Callable

import pytest

from tests.serving.conftest import HELLO, Gateway, until
from tests.serving.test_gateway import FORECAST

pytestmark = pytest.mark.integration

NEAR = {"symbol": "NEAR", "date": "2020-07-01"}


def test_each_model_is_asked_by_its_name(own: Callable[..., Gateway]) -> None:
    gateway = own(words=["--also", "large"], dollars_per_million_tokens=1000)
    assert [entry["id"] for entry in gateway.get("/v1/models").json()["data"]] == ["rehearsal", "large"]
    gateway.reply(FORECAST.replace("0.6", "0.7"), "large")
    gateway.reply(FORECAST)
    assert gateway.post("/v1/chat/completions", {**HELLO, "model": "large"}).status_code == 200
    assert json.loads(gateway.asked_of("large")[-1])["asked"]["model"] == "large" and not gateway.asked
    wrong = gateway.post("/v1/chat/completions", {**HELLO, "model": "gpt"})
    assert wrong.status_code == 404 and "served are 'rehearsal', 'large'" in wrong.json()["error"]["message"]
    first, second = (gateway.post(f"/v1/forecast{query}", NEAR).json() for query in ("", "?model=large"))
    assert (first["model"], first["answer"]["p_up"]) == ("rehearsal", 0.6)
    assert (second["model"], second["answer"]["p_up"]) == ("large", 0.7)
    several = gateway.post("/v1/markets/batch?model=large", {"requests": [NEAR]}).json()
    assert several[0]["model"] == "large"
    assert gateway.post("/v1/forecast?model=gpt", NEAR).status_code == 404
    assert gateway.metric('cortex_tokens_total{caller="anyone",kind="answer",model="large"}') == 15
    assert gateway.get("/v1/usage").json() == {"tokens": 48, "dollars": pytest.approx(0.048)}


def test_a_model_whose_engine_died_leaves_the_other_at_work(own: Callable[..., Gateway]) -> None:
    gateway = own(words=["--also", "large"])
    process = int((gateway.folder / "large" / "processes").read_text().split()[0])
    os.kill(process, signal.SIGKILL)
    until(lambda: gateway.get("/readyz").status_code == 503, "the notice")
    assert gateway.get("/readyz").json()["models"] == {"rehearsal": True, "large": False}
    assert gateway.post("/v1/chat/completions", HELLO).status_code == 200
    assert gateway.post("/v1/chat/completions", {**HELLO, "model": "large"}).status_code == 503
    until(lambda: gateway.get("/readyz").status_code == 200, "the recovery", 60)
    assert gateway.metric('cortex_engine_starts{engine="large"}') == 2
    assert gateway.metric('cortex_engine_starts{engine="rehearsal"}') == 1


def test_the_turns_at_one_engine_do_not_take_those_at_another(own: Callable[..., Gateway]) -> None:
    gateway = own(words=["--also", "large"], concurrency=1, queue=0)
    gateway.tell("slow", "large")
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**HELLO, "model": "large", "stream": True}) as answer,
    ):
        pieces = answer.iter_raw()
        next(pieces)
        assert gateway.post("/v1/chat/completions", {**HELLO, "model": "large"}).status_code == 429
        assert gateway.post("/v1/chat/completions", HELLO).status_code == 200
