"""The profile's section on pretraining: budgets as steps, and what does not fit together."""

from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.profiles.pretrain_section import Pretrain
from cortex.profiles.profile import Profile, with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.trainers.axolotl_config import axolotl_config

WEB: dict[str, Any] = {"dataset": "owner/web", "config": "large", "least": {"score": 3}}
PHASES: list[dict[str, Any]] = [
    {"name": "short", "tokens": 10_000, "sequence_length": 32, "sources": [WEB]},
    {"name": "long", "tokens": 5_000, "sequence_length": 128, "learning_rate": 1e-4, "sources": [{"run": "labels"}]},
]


def pretrained(**section: Any) -> Profile:
    given = {"phases": PHASES, "micro_batch_size": 2, "gradient_accumulation": 4, "save_steps": 5, **section}
    return load_profile("rehearsal", {"pretrain": given})


def section(**given: Any) -> Pretrain:
    found = pretrained(**given).pretrain
    assert found is not None
    return found


def phase(number: int, **change: Any) -> list[dict[str, Any]]:
    return [one | change if at == number else one for at, one in enumerate(PHASES)]


def first_source(**source: Any) -> list[dict[str, Any]]:
    return phase(0, sources=[source])


def test_each_step_has_as_many_tokens_and_a_budget_is_rounded_up_to_whole_steps() -> None:
    found = section()
    assert found.step_tokens == 2 * 128 * 4
    assert [(one.name, steps) for one, steps in found.phase_steps()] == [("short", 10), ("long", 5)]
    assert found.max_steps == 15
    assert [found.rows_of(one) for one in found.phases] == [8, 2]


def test_it_keeps_its_identity_and_a_profile_without_it_keeps_its_own() -> None:
    profile = pretrained()
    assert Profile.from_json(profile.to_json(), "profile.json") == profile
    assert b"max_steps" not in str(profile.model_dump(mode="json")["pretrain"]).encode()
    longer = with_overrides(profile, {"pretrain.micro_batch_size": 1})
    assert longer.pretrain and longer.pretrain.max_steps == 30
    assert "pretrain" not in load_profile("rehearsal").model_dump(mode="json")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"phases": []}, "at least 1 item"),
        ({"phases": [*PHASES, PHASES[1]]}, "phases has long twice"),
        ({"phases": PHASES[::-1]}, "phase short has shorter sequences .32. than long .128."),
        ({"phases": phase(1, learning_rate=1e-2)}, "phase long has a higher learning rate .0.01. than short"),
        ({"phases": phase(0, sequence_length=48)}, "sequence_length 48 does not divide the longest, 128"),
        ({"phases": phase(0, tokens=0)}, "phases.0.tokens"),
        ({"phases": first_source()}, "give exactly one of `dataset`"),
        ({"phases": first_source(dataset="a/b", files=["x.txt"])}, "give exactly one of `dataset`"),
        ({"phases": first_source(files=["x.txt"], split="test")}, "`config`, `split` and `revision` are of a hub's"),
        ({"phases": first_source(files=["x.doc"])}, "x.doc: name files that end in .jsonl"),
        ({"phases": first_source(files=["x.txt", "y.jsonl.zst"])}, "files of several kinds"),
        ({"phases": first_source(run="labels", weight=0)}, "weight"),
        ({"validate_steps": 5}, "pretrain holds nothing out to validate on"),
        ({"max_steps": 14}, r"max_steps follows from the phases' tokens \(15\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrained(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.scratch.context": 64}, "sequences of 128 tokens, and model.scratch.context is 64"),
        ({"model.scratch.kv_heads": 3}, "heads 4 is no multiple of kv_heads 3"),
        ({"hardware.gpus": 3}, "counts the passes of all GPUs together, and is no multiple of hardware.gpus 3"),
        ({"hardware.nodes": 2, "grpo": None}, "reads its streams on one machine"),
        ({"hardware.gpus": 2, "pretrain.optimizer": "adafactor"}, "adafactor cannot be sharded over 2 GPUs"),
        ({"sft.rope": {"theta": 5e5, "positions": 64}}, "sft.rope.positions 64 is below sft.sequence_length 128"),
    ],
)
def test_what_does_not_fit_the_rest_of_the_profile_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_overrides(pretrained(), change)


def test_a_rope_needs_whole_weights() -> None:
    with pytest.raises(ConfigError, match=r"sft.rope changes the model below an adapter"):
        load_profile("cortex-8b", {"sft.rope": {"theta": 5e5, "positions": 65536}})


def test_a_rope_reaches_the_models_configuration() -> None:
    profile = load_profile("rehearsal", {"sft.rope": {"theta": 40000.0, "positions": 512}})
    nowhere = Path("/")
    config = axolotl_config(profile, "/base", nowhere, nowhere, nowhere, None)
    rope = {"rope_theta": 40000.0, "rope_type": "default"}
    assert config["model_config"] == {"rope_parameters": rope, "max_position_embeddings": 512}
    assert "model_config" not in axolotl_config(load_profile("rehearsal"), "/base", nowhere, nowhere, nowhere, None)
