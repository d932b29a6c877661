"""A profile: what to train and on what. Validated once, here; then frozen."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from cortex.domains.domain import Domain
from cortex.domains.domain_field import NestedError, read_field
from cortex.domains.mixture import read_described
from cortex.domains.registry import known_domains
from cortex.errors import ConfigError
from cortex.profiles.distill_section import Distill
from cortex.profiles.export_section import Export
from cortex.profiles.pretrain_section import Pretrain
from cortex.profiles.profile_sections import Budget, Estimates, Evaluate, Hardware, Model
from cortex.profiles.sampling_section import Sampling
from cortex.profiles.teacher_section import Teacher
from cortex.profiles.trainer_sections import Dpo, Grpo, RewardModel, Sft
from cortex.section import Items, Section


class Profile(Section):
    """Everything that decides a run's result."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    """Lower-case letters, digits and hyphens."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """The seed of all randomness."""
    model: Model
    domain: Annotated[SerializeAsAny[Domain], BeforeValidator(lambda value: read_field(value, read_described))]
    """The task to learn; its `kind` decides which keys there are."""
    teacher: Teacher = Teacher()
    pretrain: Pretrain | None = None
    sft: Sft
    dpo: Dpo | None = None
    distill: Distill | None = None
    reward_model: RewardModel | None = None
    grpo: Grpo | None = None
    export: Export = Export()
    sampling: Sampling = Sampling()
    evaluate: Evaluate = Evaluate()
    hardware: Hardware = Hardware()
    budget: Budget = Budget()
    estimates: Estimates = Estimates()
    tracking: Items[Literal["tensorboard", "wandb", "trackio", "mlflow"]] = ()
    """Trackers that draw the trainings' curves from the ledger: docs/tracking.md."""

    @model_validator(mode="after")
    def _whole_copies(self) -> Self:
        for stage in ("distill", "grpo"):
            section: Distill | Grpo | None = getattr(self, stage)
            if section and section.vllm and self.hardware.gpus % section.vllm.tensor_parallel_size:
                gpus = self.hardware.gpus
                *fewer, most = (str(count) for count in range(1, gpus + 1) if gpus % count == 0)
                raise ValueError(
                    f"{stage}.vllm.tensor_parallel_size {section.vllm.tensor_parallel_size} does not divide the {gpus} "
                    f"GPUs: use {', '.join(fewer) + ' or ' if fewer else ''}{most}"
                )
        return self

    @model_validator(mode="after")
    def _each_tracker_once(self) -> Self:
        twice = next((name for name in self.tracking if self.tracking.count(name) > 1), None)
        if twice:
            raise ValueError(f"tracking names {twice} twice, and every step would be drawn twice: remove one")
        return self

    @model_validator(mode="after")
    def _one_machine_has_all(self) -> Self:
        for section in (self.dpo, self.reward_model):
            if section and self.hardware.nodes > 1:
                raise ValueError(
                    f"{section.stage} samples its pairs on one machine, and hardware.nodes is {self.hardware.nodes}: "
                    f"remove the {section.stage} section, or train on one machine"
                )
        return self

    @model_validator(mode="after")
    def _can_pretrain(self) -> Self:
        if self.pretrain is None:
            return self
        if self.hardware.nodes > 1:
            raise ValueError(
                f"pretrain reads its streams on one machine, and hardware.nodes is {self.hardware.nodes}: remove the "
                "pretrain section, or train on one machine"
            )
        if self.pretrain.gradient_accumulation % self.hardware.gpus:
            raise ValueError(
                f"pretrain.gradient_accumulation {self.pretrain.gradient_accumulation} counts the passes of all GPUs "
                f"together, and is no multiple of hardware.gpus {self.hardware.gpus}"
            )
        if self.hardware.gpus > 1 and not self.pretrain.optimizer.startswith("adamw_torch"):
            raise ValueError(
                f"pretrain.optimizer {self.pretrain.optimizer} cannot be sharded over {self.hardware.gpus} GPUs: use "
                "adamw_torch, or one GPU"
            )
        if self.model.adapter:
            raise ValueError("pretrain trains all weights: remove model.adapter, or the pretrain section")
        longest = self.model.scratch.context if self.model.scratch else self.pretrain.longest
        if self.pretrain.longest > longest:
            raise ValueError(
                f"pretrain has sequences of {self.pretrain.longest} tokens, and model.scratch.context is {longest}"
            )
        return self

    @model_validator(mode="after")
    def _rope_of_whole_weights(self) -> Self:
        if self.sft.rope and self.model.adapter:
            raise ValueError(
                "sft.rope changes the model below an adapter, whose base keeps its own: remove the adapter"
            )
        if self.sft.rope and self.sft.rope.positions < self.sft.sequence_length:
            raise ValueError(
                f"sft.rope.positions {self.sft.rope.positions} is below sft.sequence_length {self.sft.sequence_length}"
            )
        return self

    @model_validator(mode="after")
    def _samples_to_pair(self) -> Self:
        for section in (self.dpo, self.reward_model):
            if section and section.pairs == "labels" and self.teacher.samples == 1:
                raise ValueError(
                    f"{section.stage}.pairs labels pairs the teacher's samples, and there is one: set teacher.samples "
                    "to 2"
                )
        return self

    @model_validator(mode="after")
    def _reward_to_learn(self) -> Self:
        if self.grpo and self.grpo.reward == "reward_model" and self.reward_model is None:
            raise ValueError("grpo.reward is reward_model, and there is no section of that name: add it, or use domain")
        if self.grpo and self.grpo.reward == "reward_model" and self.domain.plays_matches():
            raise ValueError(
                "grpo.reward is reward_model, which scores single answers, and the domain plays: use domain"
            )
        if self.grpo and self.grpo.reward == "reward_model" and not self.grpo.validate_steps:
            raise ValueError(
                "grpo.reward is reward_model, and only validations compare it with the truth: set grpo.validate_steps"
            )
        return self

    @model_validator(mode="after")
    def _one_reply_to_distill(self) -> Self:
        turning = [
            name for name, domain in self.domain.parts().items() if domain.takes_turns() or domain.plays_matches()
        ]
        if self.distill and turning:
            raise ValueError(
                f"distill: domain {turning[0]} asks questions of several turns, and one reply is distilled: remove the "
                "distill section"
            )
        return self

    @model_validator(mode="after")
    def _has_a_debate(self) -> Self:
        parts = self.domain.parts()
        if self.evaluate.debate and not any(domain.debate() for domain in parts.values()):
            raise ValueError(f"evaluate.debate: domain {', '.join(parts)} offers no debate: leave the key out")
        if self.evaluate.base_at_once and not any(domain.at_once() for domain in parts.values()):
            raise ValueError(
                f"evaluate.base_at_once: domain {', '.join(parts)} has no form of an answer without reasoning: leave "
                "the key out"
            )
        return self

    @model_validator(mode="after")
    def _takes_turns(self) -> Self:
        """Refuse what knows one reply only, where a domain's questions take several."""
        if not self.domain.takes_turns():
            return self
        single = {
            "dpo": self.dpo is not None,
            "distill": self.distill is not None,
            "teacher.samples": self.teacher.samples > 1,
            "teacher.prompt": self.teacher.prompt is not None,
            "teacher.test_examples": bool(self.teacher.test_examples),
        }
        found = next((key for key, is_set in single.items() if is_set), None)
        if found:
            raise ValueError(f"{found} takes questions of one reply, and the domain's take several turns: remove it")
        return self

    @model_validator(mode="after")
    def _prompt_to_send(self) -> Self:
        prompt = self.teacher.prompt
        if prompt is None:
            return self
        missing = next((name for name in self.domain.parts() if self.prompt_of(name) is None), None)
        if missing:
            raise ValueError(f"teacher.prompt: domain {missing} has no prompt of its own: give a `file` or a `text`")
        if prompt.ask_base and self.model.scratch:
            raise ValueError("teacher.prompt.ask_base asks a base that is built from nothing: remove it")
        return self

    @model_validator(mode="after")
    def _exportable(self) -> Self:
        scratch, export = self.model.scratch, self.export
        if export.gguf and scratch and scratch.pieces != "gpt2":
            raise ValueError(
                f"export.gguf: llama.cpp cannot split text into model.scratch.pieces {scratch.pieces}: set them to gpt2"
            )
        if "adapter" in (export.release or ()) and not self.model.adapter:
            raise ValueError("export.release names `adapter`, and this profile trains none: name `model` or a copy")
        return self

    def prompt_of(self, part: str) -> str | None:
        """The system prompt that the teacher gets for one domain; None where it gets none."""
        prompt = self.teacher.prompt
        return prompt and (prompt.text or self.domain.parts()[part].teacher_prompt())

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer sections where there are none: such a profile keeps the hash that it had."""
        newer = ("pretrain", "distill", "reward_model")
        return {key: value for key, value in handler(self).items() if key not in newer or value is not None}

    @property
    def answer_tokens(self) -> int:
        """Longest answer that a training samples: GRPO's limit, else distillation's, else that of the evaluation."""
        sampling = self.grpo or self.distill
        return sampling.max_completion_length if sampling else self.evaluate.max_new_tokens

    @property
    def digest(self) -> str:
        """The hash that names this profile in manifests."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Canonical bytes, as `profile.json` in the bucket holds them."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Read a resolved profile; `where` names it in the error.

        Raises:
            ConfigError: it is not a profile of this version.
        """
        try:
            # Validated as Python values, like a YAML file's: pydantic's JSON mode takes no path where a text was.
            return cls.model_validate(json.loads(data))
        except ValidationError as error:
            raise ConfigError(f"{where}: {first_problem(error)}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where}: no JSON: {error}") from error


def with_overrides(profile: Profile, overrides: dict[str, Any]) -> Profile:
    """The profile with other values under some dotted keys, validated again.

    Raises:
        ConfigError: a value is wrong.
    """
    raw = profile.model_dump(mode="json")
    for dotted, value in overrides.items():
        put(raw, dotted, value)
    try:
        return Profile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{profile.name}: {first_problem(error)}") from error


def put(raw: dict[str, Any], dotted: str, value: Any) -> None:
    """Set the value under a dotted key, replacing everything there."""
    *parents, last = dotted.split(".")
    for parent in parents:
        inner: Any = raw.get(parent)
        raw[parent] = inner if isinstance(inner, dict) else {}
        raw = raw[parent]
    raw[last] = value


def first_problem(error: ValidationError) -> str:
    """The first problem of a validation error, with the dotted key and the value."""
    key, _ = problem_of(error)
    found: Any = error.errors()[0]
    while isinstance(nested := found.get("ctx", {}).get("error"), NestedError):
        found = nested.problem
    # A file lists several domains at its top.
    place = ".".join(key[1:] if key[:2] == ("domain", "domains") else key)
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "missing" and key[-1] == "domain":
        message += f"; its `kind` says what to learn: {', '.join(known_domains())}"
    given = "" if isinstance(found["input"], dict) else f" (given: {found['input']!r})"
    return f"{place + ': ' if place else ''}{message}{given}"


def problem_of(error: ValidationError) -> tuple[tuple[str, ...], ValueError | None]:
    """The key of the first problem, part by part, and the error that a check of ours raised there, if one did."""
    found: Any = error.errors()[0]
    location, raised = tuple(found["loc"]), found.get("ctx", {}).get("error")
    while isinstance(raised, NestedError):
        inner: Any = raised.problem
        location, raised = (*location, *inner["loc"]), inner.get("ctx", {}).get("error")
    # Pydantic puts the `kind` of a section among the parts of its key.
    kinds = ("simulator", "files", "flipside", "public", "dune", "ecb")
    return tuple(str(part) for part in location if part not in kinds), raised
