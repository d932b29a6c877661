"""Sampling that is killed again and again, also with the machine's disk, ends in the answers of an undisturbed one."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.local.environments import environment, on_path
from cortex.process import thread_variables
from cortex.settings import Settings
from tests.artifacts.faulty import BUCKET, Proxy
from tests.models.sampled import MODELS, RUN, Task, prompts, write_profile, write_task
from tests.programs import in_image

pytestmark = pytest.mark.rehearsal

IMAGE = "grpo"
KILLS = 3
DRAWN = {"max_tokens": 24, "samples": 2, "temperature": 1.0, "top_p": 0.9, "seed": 5}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    built = in_image(IMAGE, ["-m", "tests.models.sampled", "build", str(folder)])
    assert built.returncode == 0, built.stderr[-2000:]
    return folder


@pytest.fixture
def task(models: Path, tmp_path: Path) -> Task:
    return Task(
        profile=str(write_profile(tmp_path / "profile.yaml", models, engine="transformers", batch_size=2)),
        models=str(models),
        names=MODELS,
        url=str(tmp_path / "bucket"),
        work=str(tmp_path / "work"),
        prompts=prompts(12),
        asked=DRAWN,
        output=str(tmp_path / "answers.json"),
    )


def start(task: Task, folder: Path) -> "subprocess.Popen[str]":
    """The program, in a process group of its own."""
    made = environment(IMAGE, Settings())
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [made / "bin" / "python", "-m", "tests.models.sampled", write_task(folder / "task.json", task)],
            env={**os.environ, **on_path(made), "HF_HUB_OFFLINE": "1", **thread_variables(1)},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )


def finish(task: Task, folder: Path) -> bytes:
    assert start(task, folder).wait(600) == 0, (folder / "log").read_text()[-3000:]
    return Path(task.output).read_bytes()


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(task: Task, tmp_path: Path, proxy: Proxy) -> None:
    undisturbed = finish(task, tmp_path)
    assert len({text for answers in json.loads(undisturbed).values() for samples in answers for text in samples}) > 50
    killed = replace(task, url=f"s3://{BUCKET}/kit", work=str(tmp_path / "second"))
    bucket = proxy.upstream.root / BUCKET / "kit" / "runs" / RUN / "evaluate" / "answers"
    rng = random.Random(1)
    kept = 0
    for number in range(KILLS):
        process = start(killed, tmp_path)
        while len(list(bucket.glob("*.json"))) < kept + 3:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = len(list(bucket.glob("*.json")))
        assert now < len(MODELS) * 6, "it was killed too late to show anything"
        kept = now
        if number % 2:
            shutil.rmtree(killed.work)
    assert finish(killed, tmp_path) == undisturbed
    assert f"{kept} of 24 batches of answers are kept" in (tmp_path / "log").read_text()


def test_what_is_all_kept_loads_no_model(task: Task, tmp_path: Path, models: Path) -> None:
    first = finish(task, tmp_path)
    gone = tmp_path / "gone"
    shutil.copytree(models, gone, ignore=shutil.ignore_patterns("*.safetensors"))
    assert finish(replace(task, models=str(gone)), tmp_path) == first
