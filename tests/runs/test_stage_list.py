from typing import Any

import pytest

from cortex.errors import UsageError
from cortex.fleet.tasks.run_tasks import resolve
from cortex.profiles.profile_file import load_profile
from cortex.runs.stage_list import STAGES, model_before, models, trainings, up_to
from cortex.settings import Settings

DPO: dict[str, Any] = {"learning_rate": 1e-5, "max_steps": 4, "save_steps": 2}
S3 = Settings(bucket_url="s3://kit")


@pytest.mark.parametrize(
    ("overrides", "trained", "tasks"),
    [
        ({"dpo": None}, ("sft", "grpo"), ["data", "sft", "grpo", "export", "evaluate", "release"]),
        ({"dpo": DPO}, ("sft", "dpo", "grpo"), ["data", "sft", "grpo", "export", "evaluate", "release"]),
        ({"dpo": DPO, "grpo": None}, ("sft", "dpo"), ["data", "sft", "grpo", "export", "evaluate", "release"]),
        ({"dpo": None, "grpo": None}, ("sft",), ["data", "sft", "export", "evaluate", "release"]),
    ],
)
def test_a_profile_leaves_out_trainings_and_the_last_one_makes_the_model(
    overrides: dict[str, Any], trained: tuple[str, ...], tasks: list[str]
) -> None:
    profile = load_profile("rehearsal", overrides)
    assert models(profile) == trained
    wanted = [stage.name for stage in STAGES.values() if stage.wanted(profile)]
    assert [stage for stage in wanted if stage in ("sft", "dpo", "grpo")] == list(trained)
    assert STAGES["export"].inputs(profile)[-1] == trained[-1]
    for stage in wanted:
        assert set(STAGES[stage].inputs(profile)) <= set(wanted)
    documents = resolve(load_profile("cortex-8b", overrides), "r1", settings=S3, environment={})
    assert [document["name"] for document in documents if "run" in document] == tasks


def test_a_run_may_end_after_a_stage_here_and_in_the_cloud() -> None:
    assert up_to(["data", "sft", "grpo", "export"], "sft") == ["data", "sft"]
    assert up_to(["export", "evaluate"], "grpo") == []
    assert up_to(["data"], None) == ["data"]
    with pytest.raises(UsageError, match="no stage 'gropo': did you mean 'grpo'"):
        up_to([], "gropo")
    documents = resolve(load_profile("cortex-8b"), "r1", settings=S3, environment={}, through="sft")
    assert [document["name"] for document in documents if "run" in document] == ["data", "sft"]


def test_a_reward_model_is_trained_before_grpo_and_is_no_model_of_the_run() -> None:
    changed = {"reward_model": DPO, "grpo.reward": "reward_model"}
    profile = load_profile("rehearsal", changed)
    assert models(profile) == ("sft", "grpo") and trainings(profile) == ("sft", "reward_model", "grpo")
    assert model_before(profile, "reward_model") == "sft" == model_before(profile, "grpo")
    assert [name for name, stage in STAGES.items() if "reward_model" in stage.inputs(profile)] == ["grpo", "evaluate"]
    tasks = {document["name"]: document for document in resolve(profile, "r1", settings=S3, environment={})[1:]}
    assert "cortex run reward_model grpo" in tasks["grpo"]["run"]
    alone = load_profile("rehearsal", {"reward_model": DPO, "dpo": DPO, "grpo": None})
    assert trainings(alone) == ("sft", "dpo", "reward_model")
    assert not any("reward_model" in stage.inputs(alone) for stage in STAGES.values())
