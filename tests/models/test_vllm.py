"""The real vLLM, built for CPUs: it answers as transformers does, for a base, its adapters and whole weights."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from cortex.cli import app
from cortex.local.environments import cpu_lock, environment, on_path
from cortex.process import running
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import free_port
from tests.models.sampled import ADAPTERS, MODELS, RUN, Task, prompts, write_profile, write_task
from tests.vllm_here import skip_without_vllm

pytestmark = pytest.mark.rehearsal

IMAGE = "vllm-cpu"
PROMPTS = prompts(12)
GREEDY = {"max_tokens": 24, "seed": 5}
DRAWN = {**GREEDY, "samples": 3, "temperature": 1.0, "top_p": 0.95}
Found = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment that has vLLM."""
    skip_without_vllm()
    return environment(IMAGE, Settings()) / "bin" / "python"


@pytest.fixture(scope="module")
def variables(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of the environment. vLLM asks for the version of `vllm`, and its CPU release is called `vllm-cpu`."""
    folder = tmp_path_factory.mktemp("vllm")
    locked = next(line for line in cpu_lock(IMAGE).read_text().splitlines() if line.startswith("vllm-cpu=="))
    release = locked.split("==")[1].split()[0]
    alias = folder / "alias" / f"vllm-{release}+cpu.dist-info"
    alias.mkdir(parents=True)
    (alias / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {release}+cpu\n")
    return {
        **os.environ,
        **on_path(python.parents[1]),
        "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{alias.parent}",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "VLLM_CACHE_ROOT": str(folder / "cache"),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }


@pytest.fixture(scope="module")
def models(python: Path, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([python, "-m", "tests.models.sampled", "build", folder], env=variables, cwd=CHECKOUT, check=True)
    return folder


@pytest.fixture(scope="module")
def expected(python: Path, variables: dict[str, str], models: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The likeliest answers by transformers."""
    chain = Chain(tmp_path_factory.mktemp("transformers"), python, variables, models)
    return chain.answers(chain.task("transformers", MODELS, GREEDY))


class Chain:
    """Programs that sample, each in a process group of its own."""

    def __init__(self, folder: Path, python: Path, variables: dict[str, str], models: Path) -> None:
        self.folder, self.python, self.variables, self.models = folder, python, variables, models

    def task(self, engine: str, names: tuple[str, ...], asked: Mapping[str, float], **sampling: object) -> Task:
        profile = write_profile(self.folder / "profile.yaml", self.models, engine=engine, batch_size=5, **sampling)
        places = {name: str(self.folder / name) for name in ("url", "work", "output")}
        return Task(str(profile), str(self.models), names, prompts=PROMPTS, asked=dict(asked), **places)

    def start(self, task: Task) -> "subprocess.Popen[str]":
        with (self.folder / "log").open("w") as log:
            return subprocess.Popen(
                [self.python, "-m", "tests.models.sampled", write_task(self.folder / "task.json", task)],
                env=self.variables,
                cwd=CHECKOUT,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )

    def answers(self, task: Task) -> Found:
        assert self.start(task).wait(900) == 0, self.log[-4000:]
        return json.loads(Path(task.output).read_text(encoding="utf-8"))

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def kept(self) -> int:
        return len(list((self.folder / "url" / "runs" / RUN / "evaluate" / "answers").glob("*.json")))


@pytest.fixture
def chain(tmp_path: Path, python: Path, variables: dict[str, str], models: Path) -> Chain:
    return Chain(tmp_path, python, variables, models)


def test_the_likeliest_answers_are_those_of_transformers(chain: Chain, expected: Found) -> None:
    found = chain.answers(chain.task("vllm", MODELS, GREEDY))
    assert found == expected
    # The comparison would show an adapter that has no effect, or takes the place of another.
    assert found["merged"] == found["sft"]
    for name, other in (("base", "sft"), ("base", "dpo"), ("sft", "dpo")):
        assert sum(one == another for one, another in zip(found[name], found[other], strict=True)) <= 1
    assert len({text for [text] in found["base"]}) == len(PROMPTS), "were they alike, their order would not show"
    # One engine for the base with both adapters, and one for the merged weights.
    assert chain.log.count("Initializing a V1 LLM engine") == 2


def test_killed_while_it_samples_it_goes_on_to_the_same_answers(chain: Chain, tmp_path: Path) -> None:
    names = ("base", *ADAPTERS)
    undisturbed = chain.answers(chain.task("vllm", names, DRAWN))
    assert all(len(set(samples)) == 3 for name in names for samples in undisturbed[name])
    second = Chain(tmp_path / "second", chain.python, chain.variables, chain.models)
    second.folder.mkdir()
    task = second.task("vllm", names, DRAWN)
    process = second.start(task)
    while second.kept < 3:
        assert process.poll() is None, second.log[-4000:]
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = second.kept
    assert kept < 9, "it was killed too late to show anything"
    assert second.answers(task) == undisturbed
    assert f"{kept} of 9 batches of answers are kept, {9 - kept} are left" in second.log


@pytest.fixture(scope="module")
def server(
    python: Path, variables: dict[str, str], models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    with served(Chain(tmp_path_factory.mktemp("server"), python, variables, models)) as url:
        yield url


def test_a_server_of_the_same_models_gives_the_same_answers(chain: Chain, expected: Found, server: str) -> None:
    names = ("base", *ADAPTERS)
    found = chain.answers(chain.task("endpoint", names, GREEDY, url=server))
    for name in names:
        assert readable(found[name]) == readable(expected[name])


def test_the_bench_counts_as_the_server_does(server: str) -> None:
    before = counted(server)
    words = ("--against", f"sft@{server}", "--concurrency", "1,4", "--requests", "16", "--rounds", "2", "--json")
    lengths = ("--tokens-in", "32", "--tokens-out", "16", "--ignore-eos")
    done = CliRunner().invoke(app, ["bench", "serve", f"base@{server}", *words, *lengths], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    levels = [level for endpoint in shown["endpoints"] for level in endpoint["levels"]]
    assert [level["succeeded"] for level in levels] == [16] * 4
    assert [level["tokens_out"] for level in levels] == [16 * 16] * 4
    # Besides these: three warm-ups of each endpoint, and up to two tokens for the length of words.
    warm_ups = counted(server) - before - sum(level["tokens_out"] for level in levels)
    assert 2 * 3 * 16 <= warm_ups <= 2 * 3 * 16 + 2
    for level in levels:
        assert level["memory"]["source"] == "processes" and level["memory"]["bytes"] > 300 * 2**20
        assert 0 <= level["memory"]["kv_cache"] <= 1
        assert 0 < level["ttft"]["median"] <= level["e2e"]["median"]
        assert 8 <= level["tokens_in"] / 16 <= 64
    assert [ratio["output_tokens_per_second"]["ratio"] > 0 for ratio in shown["ratios"]] == [True, True]


def counted(url: str) -> float:
    """Tokens that the server has generated, by its own metrics."""
    with urlopen(f"{url.removesuffix('/v1')}/metrics") as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:generation_tokens_total"))


def test_a_model_that_vllm_cannot_load_ends_the_stage_with_one_line(chain: Chain, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "base").mkdir(parents=True)
    for path in (chain.models / "base").iterdir():
        (broken / "base" / path.name).write_bytes(path.read_bytes())
    (broken / "base" / "model.safetensors").write_bytes(b"\0" * 64)
    task = replace(chain.task("vllm", ("base",), GREEDY), models=str(broken))
    assert chain.start(task).wait(900) == 1
    assert chain.log.splitlines()[-1].startswith("error: vLLM ended with 1 before base had answered")


def readable(answers: list[list[str]]) -> list[list[str]]:
    """Answers without what stands for bytes that are no text: of those, a server that decodes as tokens come drops a
    character that the last token leaves unfinished."""
    return [[text.replace("\ufffd", "").strip() for text in samples] for samples in answers]


@contextmanager
def served(chain: Chain) -> Generator[str]:
    """`vllm serve` with the base and both adapters, under the names that a run gives them."""
    port = free_port()
    command = [chain.python.with_name("vllm"), "serve", chain.models / "base", "--served-model-name", "base"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", "96", "--enable-lora", "--max-lora-rank", "8", "--max-loras", "2"]
    command += ["--lora-modules", *(f"{name}={chain.models / name}" for name in ADAPTERS)]
    path = chain.folder / "server.log"
    with path.open("w") as log, running(command, env=chain.variables, stdout=log, stderr=log) as process:
        deadline = time.monotonic() + 600
        while "Application startup complete" not in path.read_text(encoding="utf-8"):
            assert process.poll() is None and time.monotonic() < deadline, path.read_text(encoding="utf-8")[-4000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
