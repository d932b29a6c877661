"""The shipped rehearsal, asserted on its numbers: the skill learned, the time taken, the files left."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.domains.markets.protocol import parse_answer
from tests.drawn_cases import draw_cases
from tests.rehearsal.conftest import Home
from tests.rehearsal.serving import served
from tests.vllm_here import skip_without_vllm

pytestmark = pytest.mark.rehearsal

COMPUTE_SECONDS = 8 * 60
SEEDS = (pytest.param(0, marks=pytest.mark.timed), *draw_cases((1, 2), 0))
"""Seed 0 runs against the clock; the others run only where all long cases are asked for."""

Run = Callable[[int], dict[str, Any]]


@pytest.fixture(scope="module")
def run(shared_home: Home) -> Run:
    """Results of the shipped profile under a seed."""
    return cache(lambda seed: shared_home.passed(f"seed-{seed}", "--seed", str(seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_it_learns_what_was_planted(run: Run, seed: int) -> None:
    shown = run(seed)
    scores = shown["scores"]
    oracle = scores["oracle"]["brier_skill"]
    sft, grpo = scores["sft"], scores["grpo"]
    assert sft["valid_share"] >= 0.99
    assert grpo["valid_share"] >= 0.99
    assert sft["brier_skill"] >= 0.45 * oracle
    assert grpo["brier_skill"] >= 0.75 * oracle
    assert grpo["brier_skill"] > sft["brier_skill"]
    assert abs(scores["base"]["brier_skill"]) < 1e-9  # untrained, it answers nothing: an abstention is worth nothing
    assert shown["verdict"] == "skill shown"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_quantized_copies_are_as_good(run: Run, seed: int) -> None:
    scores = run(seed)["scores"]
    for copy in ("gptq-w8", "gptq-w4"):
        assert scores[copy]["brier"] == pytest.approx(scores["grpo"]["brier"], abs=0.02)


@pytest.mark.timed
def test_it_ends_in_time(run: Run) -> None:
    assert sum(stage["seconds"] for stage in run(0)["stages"]) <= COMPUTE_SECONDS


@pytest.mark.timed
def test_show_tells_all_that_others_build_on(run: Run) -> None:
    shown = run(0)
    assert {"run", "profile", "bucket", "release", "stages", "scores", "verdict"} <= shown.keys()
    assert [stage["name"] for stage in shown["stages"]] == [
        "data", "label", "sft", "grpo", "export", "evaluate", "release",
    ]  # fmt: skip
    for stage in shown["stages"]:
        assert stage["state"] == "done"
        assert stage["attempts"] == 1
        assert re.fullmatch(r"[0-9a-f]{64}", stage["manifest"])
    for item in shown["scores"].values():
        assert {"accuracy", "brier", "brier_skill", "brier_skill_interval", "valid_share"} <= item.keys()
        low, high = item["brier_skill_interval"]
        assert low <= item["brier_skill"] <= high


@pytest.mark.timed
def test_how_copies_were_quantized_can_be_read_without_their_program(run: Run) -> None:
    for bits in (4, 8):
        recipe = yaml.safe_load(Path(run(0)["release"], f"gptq-w{bits}", "recipe.yaml").read_text(encoding="utf-8"))
        [modifier] = recipe["default_stage"]["default_modifiers"].values()
        assert modifier["config_groups"]["linear"]["weights"]["num_bits"] == bits


@pytest.mark.timed
def test_the_release_is_complete_and_loads_in_plain_transformers(run: Run, shared_home: Home) -> None:
    release = Path(run(0)["release"])
    names = {path.name for path in release.iterdir()}
    assert {
        "model", "gptq-w8", "gptq-w4", "README.md", "evaluation.json", "evaluation.html", "provenance.json",
        "profile.json", "manifest.json",
    } <= names  # fmt: skip
    assert shared_home.cortex("verify", release).returncode == 0
    assert "simulated" in (release / "README.md").read_text()
    provenance = json.loads((release / "provenance.json").read_text())["artifacts"]
    assert provenance["label"]["inputs"]["data"] == provenance["data"]["manifest"]
    assert provenance["grpo"]["inputs"]["sft"] == provenance["sft"]["manifest"]
    (grpo,) = (shared_home.folder / "environments").glob("grpo-*[!k]/bin/python")
    program = (
        "import sys; from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1]); AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "print(sum(weight.numel() for weight in model.parameters()))"
    )
    loaded = subprocess.run(
        [grpo, "-c", program, release / "model"], capture_output=True, text=True, check=True, timeout=120
    )
    assert 100_000 < int(loaded.stdout) < 1_000_000


@pytest.mark.timed
def test_the_judged_answers_are_analysed_and_one_page_shows_the_whole_run(run: Run, shared_home: Home) -> None:
    judged = json.loads(Path(run(0)["release"], "evaluation.json").read_text(encoding="utf-8"))
    chapters = {chapter["name"]: chapter for chapter in judged["chapters"]}
    assert chapters.keys() >= {"walk-forward", "intervals", "calibration", "abstention", "certainty", "backtest"}
    assert len(chapters["walk-forward"]["tables"][0]["rows"]) >= 5
    assert judged["verdict"]["outcome"] == "shown" and judged["verdict"]["tries"] == {"models": 1, "trials": 1}
    found = shared_home.cortex("report", run(0)["run"])
    assert found.returncode == 0, found.stderr
    page = (shared_home.folder / "reports" / run(0)["run"] / "report.html").read_text(encoding="utf-8")
    assert all(f"{chapter['title']}</h2>" in page for chapter in judged["chapters"])
    assert len(page.encode()) < 2_000_000


@pytest.mark.timed
def test_a_damaged_release_is_found(run: Run, shared_home: Home, tmp_path: Path) -> None:
    copy = tmp_path / "release"
    subprocess.run(["cp", "-r", run(0)["release"], copy], check=True)
    weights = copy / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    (copy / "evaluation.html").unlink()
    found = shared_home.cortex("verify", copy)
    assert found.returncode == 65
    assert "model/model.safetensors" in found.stderr
    assert "evaluation.html" in found.stderr


@pytest.mark.timed
def test_the_served_model_answers_as_it_was_judged(run: Run, shared_home: Home, tmp_path: Path) -> None:
    """Greedy answers of vLLM, kept to the form, are those that transformers gave when the model was judged."""
    skip_without_vllm()
    judged = json.loads(Path(run(0)["release"], "evaluation.json").read_text(encoding="utf-8"))
    with served(shared_home, [run(0)["run"]], tmp_path / "log") as (client, process):
        for sample in judged["samples"][:4]:
            symbol, _, date = sample["example_id"].partition("-")
            found = client.post("/v1/forecast", json={"symbol": symbol, "date": date}).json()
            known = parse_answer(sample["answers"]["grpo"])
            assert not found["abstained"], found
            assert found["answer"]["p_up"] == known.p_up and found["reasoning"] == known.reasoning
            assert found["answer"]["interval_pct"] == [known.low_pct, known.high_pct]
            assert found["evidence"]["skill_shown"] is True
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.mark.timed
def test_a_tampered_release_is_never_served(run: Run, shared_home: Home, tmp_path: Path) -> None:
    copy = tmp_path / "release"
    subprocess.run(["cp", "-r", run(0)["release"], copy], check=True)
    with (copy / "model" / "config.json").open("a", encoding="utf-8") as file:
        file.write(" ")
    refused = shared_home.cortex("gateway", copy)
    assert refused.returncode == 65 and "model/config.json" in refused.stderr
    unsigned = replace(shared_home, further={"CORTEX_TRUST": "signed"}).cortex("gateway", run(0)["release"])
    assert unsigned.returncode == 77 and "is unsigned" in unsigned.stderr
    unknown = shared_home.cortex("gateway", run(0)["release"], "--copy", "gptq-w5")
    assert unknown.returncode == 2 and "did you mean 'gptq-w" in unknown.stderr
    reachable = shared_home.cortex("gateway", run(0)["release"], "--host", "0.0.0.0")
    assert reachable.returncode == 77 and "cortex apikey add" in reachable.stderr


def test_real_history_is_judged_soberly(home: Home, write_profile: Callable[..., Path]) -> None:
    from tests.rehearsal.conftest import SMALL

    history = Path(__file__).resolve().parents[3] / "shared" / "data" / "market" / "daily_ohlc.parquet"
    if not history.exists():
        pytest.skip("no real market data beside this checkout")
    small = {name: values for name, values in SMALL.items() if name != "domain"}
    shown = home.passed("real", "--profile", write_profile("real", **small), "--data", history)
    assert "oracle" not in shown["scores"]
    low, _ = shown["scores"]["grpo"]["brier_skill_interval"]
    assert (shown["verdict"] == "skill shown") == (low > 0)
