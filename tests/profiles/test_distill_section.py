"""The section `distill`: its teacher, what its trainer gets, and the profiles that have none."""

import re
from pathlib import Path
from typing import Any

import pytest

from cortex.checkpoints.rules import TrainingRules
from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.stage_list import find_stage, model_before, models
from cortex.trainers.trl_config import distill_arguments

TEACHER = {"base": "owner/larger", "revision": "a" * 40}
DISTILL: dict[str, Any] = {"teacher": TEACHER, "learning_rate": 1e-4, "max_steps": 20, "save_steps": 5}


def distilled(**further: Any) -> Profile:
    return load_profile("cortex-8b", {"distill": {**DISTILL, **further}})


def test_it_follows_dpo_and_grpo_follows_it() -> None:
    profile = distilled()
    assert models(profile) == ("sft", "dpo", "distill", "grpo")
    assert model_before(profile, "distill") == "dpo" and model_before(profile, "grpo") == "distill"
    assert find_stage("distill").inputs(profile) == ("data", "label", "sft", "dpo")
    assert not find_stage("distill").wanted(load_profile("cortex-8b"))


def test_its_trainer_gets_what_it_says() -> None:
    profile = distilled(beta=0.5, temperature=0.7, max_completion_length=99, vllm={"gpu_memory_utilization": 0.2})
    arguments = distill_arguments(profile, Path("/out"))
    assert (arguments["beta"], arguments["temperature"], arguments["max_completion_length"]) == (0.5, 0.7, 99)
    assert arguments["use_vllm"] and arguments["vllm_gpu_memory_utilization"] == 0.2
    assert distill_arguments(distilled(trl={"min_p": 0.1}), Path("/out"))["min_p"] == 0.1


def test_it_validates_by_the_domain_s_grades_and_may_collapse() -> None:
    section = distilled(collapse={"window": 3, "max_truncated": 0.5}).distill
    assert section
    rules = TrainingRules.of(section, Path("/committed"))
    assert rules.metric == "eval_answer_loss"
    steps = [{"step": step, "loss": 1.0, "completions/clipped_ratio": 0.9} for step in range(1, 4)]
    assert rules.collapsed(steps[:2]) is None
    assert "collapse.max_truncated 0.5" in str(rules.collapsed(steps))


@pytest.mark.parametrize(
    ("further", "refusal"),
    [
        ({"teacher": {}}, "distill.teacher: give exactly one of `base` (a name or a folder) and `run`"),
        ({"teacher": {"base": "a/b", "run": "r1"}}, "distill.teacher: give exactly one of `base`"),
        ({"teacher": {"run": "r1", "revision": "a" * 40}}, "distill.teacher: `revision` is a commit of a model of the"),
        ({"teacher": {"base": "./here", "revision": "a" * 40}}, "this teacher has none; remove it"),
        ({"teacher": {"run": "../r1"}}, "distill.teacher.run: String should match pattern"),
        ({"beta": 1.5}, "distill.beta: Input should be less than or equal to 1"),
        ({"vllm": {"max_model_length": 64}}, "distill: vllm.max_model_length 64 leaves no room for a prompt"),
        (
            {"vllm": {"tensor_parallel_size": 3}},
            "distill.vllm.tensor_parallel_size 3 does not divide the 1 GPUs: use 1",
        ),
        (
            {"trl": {"teacher_model_name_or_path": "a/b"}},
            "cannot be passed on: `distill.teacher` in the profile decides",
        ),
        ({"trl": {"beta": 0.1}}, "cannot be passed on: `distill.beta` in the profile decides"),
        ({"trl": {"num_generations": 2}}, "distill.trl: unknown key 'num_generations'"),
    ],
)
def test_what_it_cannot_be_is_refused_in_one_line(further: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(refusal)) as caught:
        distilled(**further)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["tools", "games"])
def test_questions_of_several_turns_are_not_distilled(kind: str) -> None:
    with pytest.raises(
        ConfigError, match=r"distill: domain \w+ asks questions of several turns, and one reply is dist"
    ):
        load_profile("rehearsal", {"domain": {"kind": kind}, "distill": DISTILL})


def test_a_profile_without_it_says_nothing_of_it_and_one_with_it_is_read_back() -> None:
    assert b"distill" not in load_profile("cortex-8b").to_json()
    profile = distilled()
    assert Profile.from_json(profile.to_json(), "profile.json") == profile
    assert b'"teacher":{"base":"owner/larger","revision":"aaaa' in profile.to_json()
