"""The gateway in front of the real llama.cpp: a copy answers as it was judged, and keeps to a domain's form."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cortex.domains.markets.market_endpoint import PATTERN
from cortex.domains.question import Question
from cortex.errors import ConfigError
from cortex.serving.engine import free_port
from cortex.serving.engine_command import engine_command
from cortex.settings import Settings
from tests.programs import in_image
from tests.serving.conftest import Gateway, events, start, until
from tests.serving.gateway_program import release

pytestmark = pytest.mark.rehearsal

ANSWER = (
    '<think>flow is {}</think><answer>{{"p_up":0.{},"direction":"up","return_pct":1,"interval_pct":[-1,2]}}</answer>'
)
LONG = {"schema": {"type": "array", "items": {"type": "integer"}, "minItems": 500}, "name": "long"}


def asked(date: str) -> Question:
    """The question of a forecast."""
    endpoint = release().endpoints["markets"]
    return endpoint.question(endpoint.request.model_validate({"symbol": "NEAR", "date": date}))


TAUGHT = [(asked(f"2020-07-0{day}").text, ANSWER.format("flat" if day % 2 else "high", 5 + day)) for day in range(1, 3)]
TAUGHT += [("hello", "<think>a greeting</think>good day"), ("how are you?", "very well, é 漢字 🚀")]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder with the GGUF copy, and what llama.cpp answered when the copy was judged."""
    folder = tmp_path_factory.mktemp("taught")
    done = in_image(
        "quantize", ["-m", "tests.serving.taught_model", str(folder)], json.dumps(TAUGHT), OMP_WAIT_POLICY="PASSIVE"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def llama(copied: tuple[Path, list[str]]) -> Iterator[Gateway]:
    gateway = start(copied[0], words=["--weights", "copy"], context_tokens=4096, log_prompts=1)
    yield gateway
    gateway.process.terminate()
    gateway.process.wait(timeout=60)


def chat(text: str, **further: Any) -> dict[str, Any]:
    return {"model": "rehearsal", "messages": [{"role": "user", "content": text}], "max_tokens": 200, **further}


def test_greedy_answers_are_those_of_the_judges(llama: Gateway, copied: tuple[Path, list[str]]) -> None:
    """Asked twice: an answer may not depend on what is kept of an earlier prompt."""
    judged = copied[1]
    assert judged == [answer for _, answer in TAUGHT], "the model has learnt them"
    for _ in range(2):
        found = [llama.post("/v1/chat/completions", chat(text, temperature=0)).json() for text, _ in TAUGHT]
        assert [each["choices"][0]["message"]["content"] for each in found] == judged
        assert {each["choices"][0]["finish_reason"] for each in found} == {"stop"}


def test_a_stream_is_the_same_answer_with_its_usage(llama: Gateway) -> None:
    body = chat(TAUGHT[-1][0], temperature=0, stream=True, stream_options={"include_usage": True})
    *parts, last, done = events(llama.post("/v1/chat/completions", body).text)
    assert "".join(part["choices"][0]["delta"].get("content") or "" for part in parts) == TAUGHT[-1][1]
    assert last["usage"]["completion_tokens"] > 5 and done == "[DONE]"


def test_a_forecast_keeps_to_the_form_also_where_nothing_was_learnt(llama: Gateway) -> None:
    known = llama.post("/v1/forecast", {"symbol": "NEAR", "date": "2020-07-01"}).json()
    assert known["reasoning"] == "flow is flat" or known["abstained"], known
    for date in ("2020-06-01", "2020-06-02", "2020-06-03"):
        found = llama.post("/v1/forecast", {"symbol": "ETH", "date": date}).json()
        whole = next(gate["passed"] for gate in found["gates"] if gate["name"] == "whole")
        noted = f'"request": "{found["request_id"]}"'
        until(lambda noted=noted: noted in llama.said(), "the request's line in the log")
        line = next(line for line in llama.said().splitlines() if noted in line)
        answered = json.loads(line[line.index("{") :])["answered"]
        assert re.fullmatch(PATTERN, answered) or not whole, answered


def test_openai_s_parameters_have_their_effect(llama: Gateway) -> None:
    def say(**further: Any) -> dict[str, Any]:
        return llama.post("/v1/chat/completions", chat("how are you?", **further)).json()

    several = say(temperature=2, n=4, seed=1, max_tokens=20)
    drawn = {choice["message"]["content"] for choice in several["choices"]}
    assert len(several["choices"]) == 4 and len(drawn) > 1
    assert say(temperature=0, stop=["well"])["choices"][0]["message"]["content"] == "very "
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    kept = say(temperature=0, response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    assert isinstance(json.loads(kept["choices"][0]["message"]["content"])["a"], int)
    ranked = say(temperature=0, logprobs=True, top_logprobs=2)["choices"][0]["logprobs"]["content"]
    assert ranked[0]["token"] == "v" and len(ranked[0]["top_logprobs"]) == 2
    long = llama.post("/v1/chat/completions", chat("hello " * 4000))
    assert long.status_code == 400 and "context size (4096 tokens)" in long.json()["error"]["message"]


def test_llama_cpp_stops_where_a_client_leaves(llama: Gateway) -> None:
    """Its answer would be of thousands of tokens. It is asked with its own key, and refuses any other."""
    process = Path("/proc", str(llama.engine_process()))
    words = (process / "cmdline").read_text(encoding="utf-8").split("\0")
    port = json.loads(next(word for word in words if word.startswith("{")))["port"]
    variables = (process / "environ").read_text(encoding="utf-8").split("\0")
    key = next(each.partition("=")[2] for each in variables if each.startswith("LLAMA_API_KEY="))

    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.get("/slots").status_code == 401
        client.headers["Authorization"] = f"Bearer {key}"

        decoded: list[int] = []

        def works() -> bool:
            busy = [slot for slot in client.get("/slots").json() if slot["is_processing"]]
            decoded.extend(slot["next_token"][0]["n_decoded"] for slot in busy)
            return bool(busy)

        wanted = {"type": "json_schema", "json_schema": LONG}
        body = chat("hello", stream=True, response_format=wanted) | {"max_tokens": 4000}
        with llama.client() as user, user.stream("POST", "/v1/chat/completions", json=body) as answer:
            next(answer.iter_raw())
            assert works()
        until(lambda: not works(), "the end of the work")
    assert max(decoded) < 2000


def test_a_form_that_llama_cpp_does_not_know_is_refused_before_anything_starts(copied: tuple[Path, list[str]]) -> None:
    with pytest.raises(ConfigError, match=r"the form that a domain asks for: .*look-ahead"):
        engine_command(
            copied[0] / "copy", "a", free_port(), Settings(), gpus=0, max_tokens=9, context=64, patterns=["(?=a)b"]
        )
