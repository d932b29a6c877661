"""Capacity plans of the shipped profiles, and of ones that do not fit."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.checkpoints.rules import TrainingRules
from cortex.errors import ConfigError
from cortex.fleet.capacity.capacity_plan import CapacityPlan, plan_capacity
from cortex.fleet.capacity.export_phases import WEIGHTS_SHARE
from cortex.fleet.capacity.phase import CONTEXT, NCCL, Phase
from cortex.fleet.capacity.rates import NODE_LINK
from cortex.fleet.capacity.sheets import GIB, SHEETS, gpu_sheet
from cortex.fleet.capacity.training_phases import validations
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.stage_list import trainings
from cortex.settings import CHECKOUT, Settings

NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9"}


def planned(name: str, overrides: dict[str, Any] | None = None) -> CapacityPlan:
    return plan_capacity(load_profile(name, overrides), Settings(), environment=NOWHERE, tracing="never")


def phase(plan: CapacityPlan, stage: str, name: str) -> Phase:
    return next(found for found in plan.phases if (found.stage, found.name) == (stage, name))


@pytest.mark.parametrize("name", sorted(path.stem for path in PROFILES.glob("[!r]*.yaml")))
def test_every_shipped_profile_fits(name: str) -> None:
    plan = planned(name)
    plan.require_fit()
    assert {found.stage for found in plan.phases} == {*trainings(load_profile(name)), "export", "evaluate"}
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
    assert f"WEIGHTS_SHARE = {WEIGHTS_SHARE}\n" in (CHECKOUT / "cortex/models/loading.py").read_text(encoding="utf-8")


UNVALIDATED = {"sft.validate_steps": None, "grpo.validate_steps": None, "sft.patience": None, "grpo.patience": None}


def static(plan: CapacityPlan, stage: str) -> float:
    """Bytes of a GPU's part of the model, its adapter and their optimizer states, as a save finds them."""
    return phase(plan, stage, "save").gpu - (CONTEXT + NCCL) * GIB


def test_two_machines_hold_half_each_and_gather_as_much_over_their_network() -> None:
    one, two = (planned("cortex-70b", {"hardware.nodes": nodes}) for nodes in (1, 2))
    for stage in ("sft", "grpo"):
        step, steps = phase(one, stage, "step"), phase(two, stage, "step")
        unsharded = one.architecture.scales() if stage == "sft" else 0  # of weights in 4 bits
        assert static(two, stage) - unsharded == pytest.approx((static(one, stage) - unsharded) / 2)
        assert steps.gpus == 2 * step.gpus == 16
        assert steps.moved == pytest.approx(step.moved)
        # NCCL's ring goes through each machine: all but the GPU's own sixteenth crosses the network.
        assert (step.crossed, steps.crossed) == (0, pytest.approx(steps.moved * 15 / 16))
        assert steps.seconds >= steps.moved / NODE_LINK > step.seconds > step.moved / one.sheet.link
    for name in ("load", "save"):
        alone, both = phase(one, "sft", name), phase(two, "sft", name)
        assert (alone.host, alone.disk, alone.moved) == (both.host, both.disk, both.moved), "of each machine"
    assert phase(one, "evaluate", "evaluate") == phase(two, "evaluate", "evaluate"), "on one machine in any case"
    assert any("2 machines train as one, each joined to the others by 100 Gbit/s" in note for note in two.notes)
    assert not one.notes


def test_what_eight_gpus_do_not_hold_two_machines_may() -> None:
    whole = {"model.adapter": None, "hardware.gpus": 8, "grpo.vllm": None, "sft.sample_packing": False}
    plan = planned("cortex-70b", whole)
    misfit = next(found for found in plan.misfits if found.phase.name == "save")
    assert misfit.changes == {"hardware.nodes": 2}
    again = planned("cortex-70b", whole | dict(misfit.changes))
    assert phase(again, misfit.phase.stage, "save").over <= 0


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 60))
def test_validations_are_counted_as_the_trainers_rules_call_for_them(last: int, save: int, validate: int) -> None:
    section = load_profile("cortex-70b").sft.model_copy(
        update={"max_steps": last, "save_steps": save, "validate_steps": validate}
    )
    rules = TrainingRules.of(section, Path())
    assert validations(section) == sum(rules.validates(step, last) for step in range(1, last + 1))


def test_validations_take_time_and_money_with_their_examples_and_their_number() -> None:
    plan, fewer = planned("cortex-70b"), planned("cortex-70b", UNVALIDATED)
    spent = sum(found.seconds for found in plan.phases if found.name == "validate")
    without = sum(found.seconds for found in fewer.phases)
    assert spent > 60 and sum(found.seconds for found in plan.phases) == pytest.approx(without + spent)
    assert plan.other_seconds == pytest.approx(fewer.other_seconds + spent)
    for stage in ("sft", "grpo"):
        often = {f"{stage}.validate_steps": getattr(plan.profile, stage).save_steps}
        once = {f"{stage}.validate_steps": 10**6}
        validating = [phase(planned("cortex-70b", overrides), stage, "validate") for overrides in (once, often)]
        assert validating[1].times > validating[0].times == 1
        assert validating[1].each == pytest.approx(validating[0].each)
    # GRPO's validations sample like its rollouts: 32 answers on each of 8 GPUs make two of its batches of 16.
    assert phase(plan, "grpo", "validate").each == pytest.approx(2 * phase(plan, "grpo", "rollout").each)


def test_a_validation_of_dpo_asks_its_reference_too() -> None:
    dpo = {"dpo.validate_steps": 10, "dpo.validation_examples": 8, "dpo.prompts": 10_000}
    one = phase(planned("cortex-8b", dpo), "dpo", "validate")
    more = phase(planned("cortex-8b", dpo | {"dpo.validation_examples": 80}), "dpo", "validate")
    few = phase(planned("cortex-8b", dpo | {"dpo.validation_examples": 80, "dpo.prompts": 80}), "dpo", "validate")
    assert more.seconds == pytest.approx(10 * one.seconds) and few.seconds == pytest.approx(one.seconds)


def test_rollouts_by_transformers_are_counted() -> None:
    slow, fast = (planned("cortex-8b", {"grpo.vllm": vllm}) for vllm in (None, {"gpu_memory_utilization": 0.35}))
    assert phase(slow, "grpo", "rollout").seconds > 3 * phase(fast, "grpo", "rollout").seconds
    assert not any(found.name == "sync" for found in slow.phases)


def test_a_teacher_stays_on_the_gpus_sharded_as_the_student_is() -> None:
    plan = planned("distill-8b")
    alone = planned("distill-8b", {"distill.teacher": {"base": "meta-llama/Llama-3.1-8B-Instruct"}})
    differing = 2 * (70.55e9 - 8.03e9) / 8  # bytes of each of eight GPUs
    assert phase(plan, "distill", "save").gpu - phase(alone, "distill", "save").gpu == pytest.approx(differing, rel=0.1)
    assert phase(plan, "distill", "step").seconds > 2 * phase(alone, "distill", "step").seconds
    assert phase(plan, "distill", "load").host - phase(alone, "distill", "load").host == pytest.approx(
        8 * differing, 0.01
    )
    assert any("Llama-3.3-70B-Instruct, 141 GB in bf16, is sharded" in note for note in plan.notes)
    with pytest.raises(ConfigError, match=r"distill.*needs .* of each GPU"):
        planned("distill-8b", {"hardware.gpus": 2}).require_fit()
    with pytest.raises(ConfigError, match=r"distill\.teacher\.run r1: the size of another run's release is not known"):
        planned("distill-8b", {"distill.teacher": {"run": "r1"}})


def test_an_unknown_gpu_and_a_cpu_are_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'H100'"):
        planned("cortex-8b", {"hardware.accelerator": "H1000"})
    with pytest.raises(ConfigError, match="trains on a CPU"):
        planned("rehearsal")


REWARD = {"learning_rate": 1e-5, "max_steps": 60, "save_steps": 30, "micro_batch_size": 2}


def test_a_reward_model_is_trained_like_dpo_and_is_held_beside_what_it_scores() -> None:
    learned = {"dpo": REWARD, "reward_model": REWARD, "grpo.reward": "reward_model", "grpo.validate_steps": 50}
    plan, plain = planned("cortex-8b", learned), planned("cortex-8b", {"dpo": REWARD})
    assert phase(plan, "reward_model", "sample").seconds == phase(plan, "dpo", "sample").seconds
    trained, preferred = phase(plan, "reward_model", "step"), phase(plan, "dpo", "step")
    assert trained.gpu == pytest.approx(preferred.gpu, rel=0.1)
    assert trained.seconds < preferred.seconds, "no reference model answers"
    whole = 2 * plan.architecture.parameters
    for name in ("step", "rollout", "sync"):
        scored, graded = phase(plan, "grpo", name), phase(plain, "grpo", name)
        assert scored.gpu - graded.gpu == pytest.approx(whole), name
    assert phase(plan, "grpo", "step").seconds > phase(plain, "grpo", "step").seconds
    assert plan.step_seconds.keys() == {"sft", "dpo", "reward_model", "grpo"}


def test_kto_takes_three_passes_more_over_each_answer_and_dpo_one_over_each_pair() -> None:
    paired, unpaired = (
        phase(planned("cortex-8b", {"dpo": {**REWARD, "loss": loss}}), "dpo", "step") for loss in ("sigmoid", "kto")
    )
    assert unpaired.gpu < paired.gpu
    assert 0.5 < unpaired.seconds / paired.seconds < 1.0
