"""Traced steps, compared with what PyTorch's allocator really gives out, and with the laws that they must follow."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cortex.bases.base_config import base_config
from cortex.fleet.capacity.architecture import Architecture
from cortex.fleet.capacity.families import COUNTED
from cortex.fleet.capacity.requests import steps
from cortex.fleet.capacity.sheets import gpu_sheet
from cortex.fleet.capacity.step_cost import closed_form
from cortex.fleet.capacity.traced import IMAGE, traced_steps
from cortex.local.environments import environment, on_path
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.settings import CHECKOUT, Settings
from tests.conftest import Cortex
from tests.conftest import environment as variables
from tests.drawn_cases import draw_cases

pytestmark = pytest.mark.rehearsal

CONFIG = {
    "model_type": "llama",
    "vocab_size": 2048,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "num_hidden_layers": 6,
}
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}


def request(**changes: Any) -> dict[str, Any]:
    plain = {"config": CONFIG, "kind": "sft", "layers": 6, "rows": 4, "tokens": 256, "scored": 128, "half": False}
    return plain | changes


def run(module: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    folder = environment(IMAGE, Settings())
    done = subprocess.run(
        [folder / "bin" / "python", "-m", module],
        input=json.dumps(requests),
        env={**os.environ, **on_path(folder), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


REAL: dict[str, dict[str, Any]] = {
    "all weights": request(),
    "all weights, every activation kept": request(checkpointing=False),
    "LoRA": request(adapter=LORA, rows=2, tokens=384),
    "LoRA, every activation kept": request(adapter=LORA, checkpointing=False),
    "LoRA in bf16": request(adapter=LORA, half=True),
    "LoRA by GRPO's loss": request(kind="grpo", adapter=LORA),
    "LoRA over two ranks": request(adapter=LORA, rows=2, ranks=2),
    "all weights over two ranks, in bf16": request(half=True, rows=2, ranks=2),
    "all weights over two ranks by GRPO's loss": request(kind="grpo", half=True, rows=2, ranks=2),
}


def test_a_trace_is_within_a_tenth_of_what_the_allocator_gives_out() -> None:
    cases = draw_cases(list(REAL), 4)
    found = dict(zip(cases, run("tests.tracing.trace_beside_real", [REAL[case] for case in cases]), strict=True))
    for case, peaks in found.items():
        assert peaks["traced"] == pytest.approx(peaks["real"], rel=0.1), case
        # Memory that does not stay between steps is compared by itself, too: weights alone would hide it.
        passing = peaks["real"] - peaks["static"]
        assert peaks["traced"] - peaks["static"] == pytest.approx(passing, rel=0.1), case


@cache
def traced() -> Mapping[str, dict[str, Any]]:
    """Requests of one model each, traced by one program."""
    sharded = {"adapter": LORA, "half": True, "ranks": 4}
    requests = {
        **{f"layers {n}": request(**sharded, layers=n) for n in (5, 6, 11)},
        **{f"rank {n}": request(adapter=LORA | {"r": n}) for n in (8, 16, 24)},
        **{f"rows {n}": request(adapter=LORA, rows=n) for n in (2, 4, 6)},
        **{f"GPUs {n}": request(half=True, ranks=n, bandwidth=1e8) for n in (2, 4, 8)},
        "packed": request(adapter=LORA, half=True, packed=True),
        "bf16": request(adapter=LORA, half=True),
    }
    return dict(zip(requests, run("cortex.tracing.step_trace", list(requests.values())), strict=True))


def segments(trace: dict[str, Any]) -> dict[str, float]:
    """Every figure of every segment but the middle one's peak, which lies between its neighbours'."""
    return {
        f"{name} {key}": float(value)
        for name, segment in trace["segments"].items()
        for key, value in segment.items()
        if (name, key) != ("middle", "peak")
    }


def assert_on_a_line(names: tuple[str, str, str], at: tuple[float, float, float], rel: float = 0.01) -> None:
    """Compare the third trace with the straight line through the first two."""
    first, second, third = (segments(traced()[name]) for name in names)
    share = (at[2] - at[0]) / (at[1] - at[0])
    for key, value in third.items():
        line = first[key] + share * (second[key] - first[key])
        assert value == pytest.approx(line, rel=rel, abs=2**16), (names, key)


def test_every_segment_lies_on_a_line_over_the_layers() -> None:
    assert_on_a_line(("layers 5", "layers 6", "layers 11"), (5, 6, 11))


def test_memory_is_linear_in_the_adapters_rank_and_in_the_rows() -> None:
    assert_on_a_line(("rank 8", "rank 16", "rank 24"), (8, 16, 24))
    assert_on_a_line(("rows 2", "rows 4", "rows 6"), (2, 4, 6), rel=0.02)
    trained = [traced()[f"rank {rank}"]["trained"] for rank in (8, 16, 24)]
    assert trained == [rank * trained[0] // 8 for rank in (8, 16, 24)]
    assert trained[0] == Architecture.of(CONFIG, "here").adapter(8)


def test_twice_the_gpus_hold_half_of_the_weights_each_and_gather_as_much() -> None:
    two, four, eight = (traced()[f"GPUs {count}"] for count in (2, 4, 8))
    assert two["static"] == pytest.approx(2 * four["static"], rel=0.05)
    assert four["static"] == pytest.approx(2 * eight["static"], rel=0.05)
    # Memory is so slow that bytes alone count: the optimizer works on this rank's part alone.
    updates = [trace["segments"]["optimizer"]["seconds"] for trace in (two, four, eight)]
    assert updates == pytest.approx([updates[0], updates[0] / 2, updates[0] / 4], rel=0.05)
    gathered = [sum(s["gathered"] for s in trace["segments"].values()) for trace in (two, four, eight)]
    assert gathered == pytest.approx([gathered[0]] * 3, rel=0.02)


def test_weights_in_4_bits_take_a_quarter_of_those_in_bf16() -> None:
    packed, plain = traced()["packed"]["static"], traced()["bf16"]["static"]
    shape = Architecture.of(CONFIG, "here")
    assert plain - packed == pytest.approx(2 * shape.parameters - shape.packed(), rel=0.02)


@pytest.mark.parametrize("tied", [True, False, None])
def test_families_that_are_counted_have_as_many_parameters_as_transformers_builds(tied: bool | None) -> None:
    sizes = {"vocab_size": 200_000, "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 32}
    sizes |= {} if tied is None else {"tie_word_embeddings": tied}
    given = [sizes | {"model_type": family} for family in sorted(COUNTED)]
    for config, found in zip(given, run("tests.tracing.count_parameters", given), strict=True):
        counted = Architecture.of(config, str(config["model_type"]))
        if tied is None:
            assert counted.tied is found["tied"], config["model_type"]
        elif counted.tied is tied:
            assert counted.parameters == pytest.approx(found["parameters"], rel=1e-3), config["model_type"]


UNTRACEABLE = {
    "a family of nobody's": ({"model_type": "fancy"}, "knows no model_type 'fancy' (config.json)"),
    "a family that writes nothing": ({"model_type": "vit"}, "has no causal language model of model_type 'vit' (config"),
    "a value of no kind": ({"rope_scaling": 5}, "rope"),
}


@pytest.mark.parametrize("case", UNTRACEABLE)
def test_what_cannot_be_traced_is_computed_by_closed_forms_and_the_plan_says_why(
    case: str, cortex: Cortex, tmp_path: Path
) -> None:
    given, words = UNTRACEABLE[case]
    whole = base_config(load_profile("cortex-8b").model, {}) | {"architectures": None} | given
    (tmp_path / "config.json").write_text(json.dumps(whole), encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "environments").symlink_to(environment(IMAGE, Settings()).parent)
    profile = tmp_path / "changed.yaml"
    text = (PROFILES / "cortex-8b.yaml").read_text(encoding="utf-8")
    profile.write_text(text.replace("meta-llama/Llama-3.1-8B-Instruct", str(tmp_path)), encoding="utf-8")
    done = cortex("plan", profile, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["basis"] == "closed form, untraceable"
    note = next(note for note in found["notes"] if "cannot be traced" in note)
    assert words in note and note.endswith(": steps are computed by closed forms")
    closed = json.loads(cortex("plan", profile, "--closed", "--json").stdout)
    assert [phase["seconds"] for phase in found["phases"]] == [phase["seconds"] for phase in closed["phases"]]


@pytest.mark.parametrize("name", ["cortex-8b", "cortex-8b-full", "cortex-70b"])
def test_closed_forms_are_near_the_traces_of_shipped_profiles(name: str) -> None:
    profile = load_profile(name)
    config = base_config(profile.model, {})
    architecture, sheet = Architecture.of(config, name), gpu_sheet(profile.hardware.accelerator)
    wanted = steps(profile)
    found = traced_steps(wanted, config, architecture, sheet, Settings(), "made")
    assert set(found) == set(wanted)
    for stage, step in wanted.items():
        by_hand = closed_form(step, architecture, sheet)
        assert by_hand.peak == pytest.approx(found[stage].peak, rel=0.2), stage
        assert by_hand.static == pytest.approx(found[stage].static, rel=0.02), stage
        assert by_hand.trained == found[stage].trained
        if step.ranks > 1:
            assert by_hand.forward.moved == pytest.approx(found[stage].forward.moved, rel=0.1), stage


@pytest.mark.timed
def test_a_plan_of_70b_takes_20_seconds_and_3_gib(cortex: Cortex, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "environments").symlink_to(environment(IMAGE, Settings()).parent)
    words = [sys.executable, "-m", "cortex", "plan", "cortex-70b", "--json"]
    written, told = tmp_path / "plan.json", tmp_path / "told"
    started = time.monotonic()
    with written.open("w") as out, told.open("w") as err:
        process = subprocess.Popen(words, env=variables(tmp_path), stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
    seconds, process.returncode = time.monotonic() - started, os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, told.read_text()
    plan = json.loads(written.read_text())
    assert plan["basis"] == "traced"
    assert seconds < 20
    # The memory of the largest process: two of them trace at a time, beside the verb itself.
    assert 3 * usage.ru_maxrss < 3 * 2**20

    again = cortex("plan", "cortex-70b", "--json")
    assert json.loads(again.stdout)["phases"] == plan["phases"]
    assert "tracing" in told.read_text() and "tracing" not in again.stderr
