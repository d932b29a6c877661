"""The profile's section on distillation: the teacher, and how the student learns from its distributions."""

from typing import Any, ClassVar, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cortex.profiles.trainer_sections import AnswerCollapse, Collapse, TrlOptimization, Vllm
from cortex.section import NameOrFolder, Section


class DistillTeacher(Section):
    """The larger model that `distill` imitates. It must have the tokenizer of the profile's own model."""

    base: NameOrFolder | None = None
    """A model hub's name or a local folder, such as a downloaded release's `model`. Exactly one of `base` and `run` is
    given."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of `base` on the hub, in 40 hexadecimal digits. None: the main branch's when it is first loaded; the
    run keeps to that commit."""
    run: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$")
    """A finished run in this run's bucket, whose released weights are the teacher. A rehearsal first rehearses a run
    that is not there, by the profile of the same name."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.base is None) == (self.run is None):
            raise ValueError("give exactly one of `base` (a name or a folder) and `run` (a finished run)")
        if self.revision and (self.base is None or self.base.startswith((".", "~", "/"))):
            raise ValueError("`revision` is a commit of a model of the hub: this teacher has none; remove it")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def name(self) -> str:
        """The teacher in messages, with its key."""
        return f"distill.teacher.base {self.base}" if self.base else f"distill.teacher.run {self.run}"


class Distill(TrlOptimization):
    """On-policy distillation by TRL: the model answers, and imitates a larger model's probabilities of each token."""

    stage = "distill"
    judged: ClassVar[bool] = True
    teacher: DistillTeacher
    beta: float = Field(default=1.0, ge=0, le=1)
    """The divergence from the teacher: 1 is the reverse KL, which seeks what the teacher finds likeliest, 0 the forward
    KL, which covers all that it finds likely, and 0.5 the Jensen-Shannon divergence."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the sampled answers, and of both distributions in the divergence."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample from the likeliest tokens that together have this probability."""
    max_completion_length: int = Field(default=64, ge=8)
    """Longest answer, in tokens."""
    vllm: Vllm | None = None
    """Sample answers by vLLM; None: by transformers' own `generate`."""
    collapse: AnswerCollapse | None = AnswerCollapse()
    """Signs at which a training counts as collapsed; None: it never does."""
    sample_steps: int = Field(default=10, ge=1)
    """Steps between two at which sampled answers are kept in the bucket, for people to read."""
    samples: int = Field(default=8, ge=0, le=64)
    """Number of answers that are kept each time; 0 keeps none."""

    @model_validator(mode="after")
    def _room_for_prompts(self) -> Self:
        longest = self.vllm.max_model_length if self.vllm else None
        if longest is not None and longest <= self.max_completion_length:
            raise ValueError(
                f"vllm.max_model_length {longest} leaves no room for a prompt beside max_completion_length "
                f"{self.max_completion_length}: use their sum"
            )
        return self

    @property
    def generation_steps(self) -> int:
        """Forward passes that share one batch of answers."""
        return self.gradient_accumulation

    @property
    def rollout_phase(self) -> int:
        """Optimizer steps after which new answers are sampled: each step has its own."""
        return 1

    def signs(self) -> Collapse | None:
        return self.collapse and Collapse(max_groups_alike=None, misled=None, **self.collapse.model_dump())
