"""Capacity plans of the shipped profiles, and of ones that do not fit."""

from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.fleet.capacity.export_phases import WEIGHTS_SHARE
from cortex.fleet.capacity.phase import Phase
from cortex.fleet.capacity.plan import CapacityPlan, plan_capacity
from cortex.fleet.capacity.sheets import GIB, SHEETS, gpu_sheet
from cortex.runs.profile import PROFILES, load_profile
from cortex.settings import CHECKOUT, Settings

NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}


def planned(name: str, overrides: dict[str, Any] | None = None) -> CapacityPlan:
    return plan_capacity(load_profile(name, overrides), Settings(), environment=NOWHERE, tracing="never")


def phase(plan: CapacityPlan, stage: str, name: str) -> Phase:
    return next(found for found in plan.phases if (found.stage, found.name) == (stage, name))


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("cortex-*.yaml")))
def test_every_shipped_profile_fits(name: str) -> None:
    plan = planned(name)
    plan.require_fit()
    assert {found.stage for found in plan.phases} >= {"sft", "grpo", "export", "evaluate"}
    assert all(found.seconds > 0 for found in plan.phases)
    assert all(0 < found.gpu < found.capacity for found in plan.phases if found.capacity)


MISFITS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a batch": (
        "cortex-8b",
        {"sft.micro_batch_size": 32, "sft.gradient_accumulation": 1, "sft.sequence_length": 2048},
        "set sft.micro_batch_size to 16, and sft.gradient_accumulation to 2",
    ),
    "a sequence": (
        "cortex-8b",
        {"sft.micro_batch_size": 1, "sft.sequence_length": 40960, "sft.gradient_accumulation": 16},
        "set sft.sequence_length to ",
    ),
    "a share of the GPU that leaves no room beside it": (
        "cortex-8b",
        {"grpo.vllm.gpu_memory_utilization": 0.85},
        "set grpo.vllm.gpu_memory_utilization to 0.79",
    ),
    "a share of the GPU that holds no weights": (
        "cortex-8b",
        {"grpo.vllm.gpu_memory_utilization": 0.2},
        "set grpo.vllm.gpu_memory_utilization to 0.2",
    ),
    "a model on too few GPUs": (
        "cortex-70b",
        {"hardware.gpus": 4, "grpo.vllm.tensor_parallel_size": 4},
        "set grpo.vllm.gpu_memory_utilization to 0.45",
    ),
    "all weights on one small GPU": (
        "cortex-8b",
        {"model.adapter": None, "hardware.accelerator": "A100"},
        "set hardware.gpus to ",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_refused_with_a_change_after_which_it_does(case: str) -> None:
    name, overrides, words = MISFITS[case]
    plan = planned(name, overrides)
    with pytest.raises(ConfigError, match="does not fit on ") as refusal:
        plan.require_fit()
    assert refusal.value.exit_code == 78
    assert words in str(refusal.value)
    first = plan.misfits[0]
    again = planned(name, overrides | dict(first.changes))
    assert phase(again, first.phase.stage, first.phase.name).over <= 0


def test_one_gib_over_is_over_and_one_gib_under_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    step = phase(planned("cortex-8b"), "sft", "step")
    sheet = gpu_sheet("H100")
    for spare, fits in ((1.0, True), (-1.0, False)):
        small = type(sheet)(**{**vars(sheet), "memory": step.gpu / GIB + spare})
        monkeypatch.setitem(SHEETS, "H100", small)
        over = phase(planned("cortex-8b", {"grpo.vllm.gpu_memory_utilization": 0.3}), "sft", "step").over
        assert (over <= 0) is fits
        assert over == pytest.approx(-spare * GIB, abs=GIB / 100)


def test_weights_that_one_gpu_does_not_hold_come_in_at_every_token() -> None:
    rows = {"export.batch_size": 16, "export.check_examples": 16, "export.answer_tokens": None}
    spilled = phase(planned("cortex-70b", rows | {"hardware.export_gpus": 1}), "export", "check copies")
    held = phase(planned("cortex-70b", rows | {"hardware.export_gpus": 4}), "export", "check copies")
    assert spilled.seconds > 5 * held.seconds
    assert held.gpu < spilled.gpu < spilled.capacity
    assert f"WEIGHTS_SHARE = {WEIGHTS_SHARE}\n" in (CHECKOUT / "cortex/training/models.py").read_text(encoding="utf-8")


def test_a_second_machine_halves_the_weights_of_each_gpu_and_brings_them_over_a_slower_link() -> None:
    shape = {"sft.validate_steps": None, "grpo.validate_steps": None, "sft.patience": None, "grpo.patience": None}
    shape |= {"grpo.micro_batch_size": 1, "grpo.gradient_accumulation": 16}
    one, two = (planned("cortex-70b", shape | {"hardware.nodes": nodes}) for nodes in (1, 2))
    assert phase(two, "grpo", "save").gpu < 0.6 * phase(one, "grpo", "save").gpu
    assert phase(two, "grpo", "step").gpu < phase(one, "grpo", "step").gpu
    assert phase(two, "grpo", "step").seconds > 2 * phase(one, "grpo", "step").seconds
    assert phase(two, "grpo", "step").gpus == 16


def test_an_unknown_gpu_and_a_cpu_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'H100'"):
        planned("cortex-8b", {"hardware.accelerator": "H1000"})
    with pytest.raises(ConfigError, match="trains on a CPU"):
        planned("rehearsal")
