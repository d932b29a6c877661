"""Killed in any stage and continued, a run gives the same bytes; so do two runs beside each other."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Server
from tests.rehearsal.conftest import SMALL, Home

pytestmark = pytest.mark.rehearsal

STAGES = ("data", "label", "sft", "grpo", "export", "evaluate")


@pytest.fixture(scope="module")
def small(write_profile: Callable[..., Path]) -> Path:
    return write_profile("small", **SMALL)


@pytest.fixture(scope="module")
def undisturbed(shared_home: Home, small: Path) -> dict[str, Any]:
    return shared_home.passed("undisturbed", "--profile", small)


def digests(shown: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["manifest"] for stage in shown["stages"]}


def test_killed_in_every_stage_it_goes_on_to_the_same_bytes(
    undisturbed: dict[str, Any], shared_home: Home, small: Path
) -> None:
    for stage in STAGES:
        first = ("--profile", small) if stage == STAGES[0] else ()
        shared_home.kill_during(stage, "killed", *first)
    shown = shared_home.passed("killed")
    assert shown["weights"] == undisturbed["weights"]
    assert digests(shown) == digests(undisturbed)
    attempts = {stage["name"]: stage["attempts"] for stage in shown["stages"]}
    assert all(attempts[stage] == 2 for stage in STAGES), attempts
    logs = shared_home.folder / "work" / "killed" / "logs"
    for stage in ("sft", "grpo"):
        assert "resuming from checkpoint-" in (logs / f"{stage}.log").read_text()
    assert "batches of answers are kept" in (logs / "evaluate.log").read_text()


@pytest.mark.drawn("runs")
def test_two_runs_beside_each_other_do_not_disturb_one_another(
    undisturbed: dict[str, Any], shared_home: Home, small: Path
) -> None:
    both = [
        subprocess.Popen(
            shared_home.command("rehearse", "--run", name, "--profile", small),
            env=shared_home.variables,
            stdout=subprocess.DEVNULL,
        )
        for name in ("left", "right")
    ]
    assert [process.wait(timeout=900) for process in both] == [0, 0]
    for name in ("left", "right"):
        assert digests(shared_home.show(name)) == digests(undisturbed)


@pytest.mark.drawn("runs")
def test_a_bucket_serves_as_well_as_a_folder(
    undisturbed: dict[str, Any], shared_home: Home, small: Path, tmp_path: Path
) -> None:
    """The same run, kept on a real S3 server; only the label of its bucket differs."""
    server = Server(tmp_path / "served")
    server.start()
    proxy = Proxy(server)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    variables = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
        "CORTEX_BUCKET": f"s3://{BUCKET}/team",
    }
    remote = Home(shared_home.folder, variables)
    try:
        shown = remote.passed("remote", "--profile", small)
        assert shown["weights"] == undisturbed["weights"]
        assert digests(shown) == digests(undisturbed)
        assert shown["release"] == f"s3://{BUCKET}/team/runs/remote/release"
        brought = remote.cortex("download", "remote", "--to", tmp_path / "release")
        assert brought.returncode == 0, brought.stderr
    finally:
        proxy.shutdown()
        proxy.server_close()
        server.kill()
    assert remote.cortex("verify", tmp_path / "release").returncode == 0
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "release", check=False)
    assert checked.returncode == 0


def test_a_finished_run_has_nothing_left_to_do(undisturbed: dict[str, Any], shared_home: Home) -> None:
    again = shared_home.passed("undisturbed")
    assert again == undisturbed


@pytest.mark.drawn("runs")
def test_lora_and_dpo_by_profile(
    undisturbed: dict[str, Any], shared_home: Home, write_profile: Callable[..., Path]
) -> None:
    """The full model of another run is the base; all three trainers train adapters, which are merged."""
    base = Path(str(undisturbed["release"])) / "model"
    dpo = {"learning_rate": 1e-4, "max_steps": 4, "save_steps": 2, "micro_batch_size": 4, "prompts": 24, "samples": 4}
    sections = {
        **SMALL,
        "model": {"base": str(base), "adapter": {"kind": "lora", "r": 4, "alpha": 8}},
        "dpo": dpo,
    }
    shown = shared_home.passed("adapters", "--profile", write_profile("adapters", **sections))
    assert {"base", "sft", "dpo", "grpo"} <= shown["scores"].keys()
    bucket = shared_home.folder / "bucket" / "runs" / "adapters"
    for stage in ("sft", "dpo", "grpo"):
        assert (bucket / stage / "artifact" / "model" / "adapter_config.json").is_file()
    merged = Path(shown["release"]) / "model"
    assert not (merged / "adapter_config.json").exists()
    adapter = merged.with_name("adapter")
    trained = bucket / "grpo" / "artifact" / "model" / "adapter_model.safetensors"
    assert (adapter / "adapter_model.safetensors").read_bytes() == trained.read_bytes()
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    assert "nats a token from base and adapter" in (merged.parent / "README.md").read_text()
    assert (merged / "model.safetensors").read_bytes() != (base / "model.safetensors").read_bytes()
    assert (merged / "model.safetensors").stat().st_size == (base / "model.safetensors").stat().st_size


def test_an_interrupted_rehearsal_says_how_to_go_on(shared_home: Home, small: Path) -> None:
    process = subprocess.Popen(
        shared_home.command("rehearse", "--run", "interrupted", "--profile", small),
        env=shared_home.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = shared_home.folder / "work" / "interrupted" / "logs" / "sft.log"
    while not log.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "make rehearse RUN=interrupted" in error
    assert "Traceback" not in error
    shown = shared_home.show("interrupted")
    assert [stage["name"] for stage in shown["stages"] if stage["state"] == "done"] == ["data", "label"]


def test_a_failing_stage_shows_its_last_lines_and_keeps_its_log(home: Home, write_profile: Callable[..., Path]) -> None:
    profile = write_profile("mistaken", **{**SMALL, "sft": {**SMALL["sft"], "axolotl": {"sav_steps": 7}}})
    failed = home.rehearse("mistaken", "--profile", profile)
    assert failed.returncode == 78
    assert "sft failed" in failed.stdout
    assert "save_steps" in failed.stdout
    assert "make rehearse RUN=mistaken" in failed.stderr
    assert (home.folder / "work" / "mistaken" / "logs" / "sft.log").stat().st_size > 0
    assert home.cortex("show", "mistaken").returncode == 0
