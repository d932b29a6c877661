"""A profile's sections on its trainers: steps, rates and batches, in the trainers' own terms."""

import math
from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from cortex.profiles.passthrough import refused_keys
from cortex.profiles.trl_passthrough import TrlStage, class_keys, refused_trl_keys
from cortex.section import Section


class HangLimit(Section):
    """Limits of the time without progress, after which a trainer is ended and continued from its last checkpoint."""

    steps: float = Field(default=20.0, gt=1)
    """The limit between two steps, as a multiple of the median time of recent steps."""
    least_seconds: float = Field(default=600.0, gt=0)
    """The smallest limit between two steps, since a step may now and then be slow."""
    start_seconds: float = Field(default=3600.0, gt=0)
    """The limit before the first step, while weights are read and kernels compiled, and for saving one checkpoint."""


class AnswerCollapse(Section):
    """Signs that sampled answers are worth nothing any more. A training ends when the mean of one over `window` steps
    is past its bound; None leaves a sign out."""

    window: int = Field(default=20, ge=1)
    """Steps over which each sign is averaged."""
    max_truncated: float | None = Field(default=0.95, gt=0, lt=1)
    """Maximum share of answers that were cut off at `max_completion_length`."""
    min_entropy: float | None = Field(default=None, gt=0)
    """Minimum entropy of the next token, in nats. Its scale differs by model: look at a good training's first."""
    min_length: float | None = Field(default=None, gt=0)
    """Minimum mean length of an answer, in tokens."""


class Collapse(AnswerCollapse):
    """Signs that nothing is learned any more. A training ends when the mean of one over `window` steps is past its
    bound; None leaves a sign out."""

    max_groups_alike: float | None = Field(default=0.98, gt=0, lt=1)
    """Maximum share of groups whose answers all earned the same reward: they teach nothing."""
    max_kl: float | None = Field(default=None, gt=0)
    """Maximum divergence from the SFT model, in nats per token; measured only where `beta` is above 0."""
    misled: float | None = Field(default=0.05, gt=0, lt=0.5)
    """The training also ends when, from one validation to a later one, the reward has risen and the truth (1 less the
    loss of the domain's grade) has fallen, both beyond chance: this is the largest chance of a false alarm in a whole
    training."""

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `misled` out where it has its default: such a profile keeps the hash that it had."""
        default = type(self).model_fields["misled"].default
        return {key: value for key, value in handler(self).items() if key != "misled" or value != default}


class Optimization(Section):
    """The settings that all trainers share."""

    judged: ClassVar[bool] = False
    """True for a training whose validations sample answers and judge them; others measure the loss of given ones."""
    learning_rate: float = Field(gt=0, lt=1)
    """Peak learning rate."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """The learning rate's decline after the warm-up."""
    warmup_steps: int = Field(default=10, ge=0)
    """Optimizer steps over which the learning rate rises to its peak."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Sequences per device and forward pass."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes per optimizer step."""
    max_steps: int = Field(ge=1)
    """Optimizer steps in all."""
    save_steps: int = Field(ge=1)
    """Optimizer steps between checkpoints."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Number of newest checkpoints to keep, on the disk and in the bucket; the best validated one is kept besides."""
    validate_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between validations on held-out examples. Each waits for the next save, since only saved weights
    can be released, and one more comes at the end. The best validated weights are released. None: no validations, and
    the last weights are released."""
    validation_examples: int = Field(default=256, ge=8)
    """Held-out examples in a validation: fewer are cheaper, and say less of small differences."""
    patience: int | None = Field(default=None, ge=1)
    """End the training after this many validations without a better one. None: train to `max_steps`."""
    hang_limit: HangLimit = HangLimit()
    """Limits after which a trainer that makes no step counts as hung."""

    def signs(self) -> Collapse | None:
        """The signs at which this training counts as collapsed; None without any."""
        return None

    @model_validator(mode="after")
    def _something_to_be_patient_with(self) -> Self:
        if self.patience and not self.validate_steps:
            raise ValueError("patience counts validations, and there are none: give validate_steps, or remove patience")
        return self


class Rope(Section):
    """The rotary position embedding from a training on."""

    theta: float = Field(gt=0)
    """Base of its wavelengths: a larger one tells more distant positions apart."""
    positions: int = Field(ge=32)
    """Longest sequence of the model, in tokens."""


class Sft(Optimization):
    """Supervised fine-tuning on the teacher's answers, by Axolotl."""

    sequence_length: int = Field(default=256, ge=32)
    """Longest prompt and answer, in tokens; longer examples are dropped."""
    optimizer: str = "adamw_torch"
    """An optimizer by Axolotl's name."""
    sample_packing: bool = False
    """Pack several examples into one sequence, where none attends to another: under `sdpa`, too."""
    rope: Rope | None = None
    """Another rotary position embedding than that of the model before, for longer contexts; None keeps it."""
    turns: Literal["all", "last"] = "all"
    """The assistant's turns of a conversation that are trained on, all or the last one; no other turn ever is."""
    axolotl: dict[str, Any] = Field(default_factory=dict)
    """Further keys of Axolotl's own configuration, except those that load code from elsewhere; checked against its
    schema when the stage starts."""

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave newer keys out where they have their defaults: such a profile keeps the hash that it had."""
        defaults = {"rope": None, "turns": "all"}
        return {key: value for key, value in handler(self).items() if key not in defaults or value != defaults[key]}

    @field_validator("axolotl")
    @classmethod
    def _load_no_code(cls, section: dict[str, Any]) -> dict[str, Any]:
        for refusal in refused_keys(section):
            raise ValueError(refusal)
        return section


class TrlOptimization(Optimization):
    """The further keys of TRL's trainers."""

    stage: ClassVar[TrlStage]
    trl: dict[str, Any] = Field(default_factory=dict)
    """Further keys of TRL's own configuration class, except those that load code or that the kit sets itself."""

    @field_validator("trl")
    @classmethod
    def _pass_on(cls, section: dict[str, Any]) -> dict[str, Any]:
        for refusal in refused_trl_keys(cls.stage, section):
            raise ValueError(refusal)
        return section


class Pairing(TrlOptimization):
    """Training on judged answers to training prompts: where the better and the worse ones come from."""

    prompts: int = Field(default=256, ge=2)
    """Training prompts that are sampled."""
    samples: int = Field(default=4, ge=2)
    """Answers per prompt, of which the best and the worst make the pair."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample from the likeliest tokens that together have this probability."""
    pairs: Literal["sampled", "labels", "spoiled"] = "sampled"
    """`sampled`: the best and the worst of the SFT model's own answers. `labels`: of the teacher's samples
    (`teacher.samples`). `spoiled`: an accepted label, and a copy that was spoiled on purpose and earns less."""


PairLoss = Literal["sigmoid", "sigmoid_norm", "hinge", "ipo", "apo_zero", "apo_down", "nca_pair"]
"""Losses of a pair that need no further key. TRL's others, reached by `dpo.trl.loss_type`, are for labels of which a
known share is wrong (`robust`, `exo_pair`), compare sorted batches (`aot`), or come without guidance on their keys."""

UnpairedLoss = Literal["kto", "apo_zero_unpaired"]
"""Losses of answers each judged alone, by TRL's KTO trainer."""


class Dpo(Pairing):
    """Preference optimization on judged answers, by TRL: direct, on pairs, or by KTO, on answers judged alone."""

    stage = "dpo"
    beta: float = Field(default=0.1, gt=0)
    """The beta of the loss: the larger, the closer the model stays to its start."""
    loss: PairLoss | UnpairedLoss = "sigmoid"
    """The loss, by TRL's name: docs/training.md compares them. `kto` and `apo_zero_unpaired` learn from answers that
    are each good or bad, all others from pairs."""
    sft_weight: float = Field(default=0.0, ge=0, le=100)
    """Weight, beside the pair's loss of weight 1, of SFT's loss on the better answer: it keeps that answer likely."""

    @property
    def unpaired(self) -> bool:
        """True where each answer is judged alone, by TRL's KTO trainer."""
        return self.loss in get_args(UnpairedLoss)

    @model_validator(mode="after")
    def _one_place_for_the_loss(self) -> Self:
        own = [key for key in ("loss", "sft_weight") if key in self.model_fields_set]
        passed = [f"trl.{key}" for key in ("loss_type", "loss_weights") if key in self.trl]
        if own and passed:
            raise ValueError(f"{' and '.join(own)} and {' and '.join(passed)} set the same loss: remove {passed[0]}")
        return self

    @model_validator(mode="after")
    def _fit_for_the_loss(self) -> Self:
        trainer = "kto" if self.unpaired else "dpo"
        foreign = next((key for key in self.trl if key not in class_keys(trainer)), None)
        if foreign:
            raise ValueError(f"trl.{foreign} is no key of the trainer of loss {self.loss}: remove it")
        if self.unpaired and self.sft_weight:
            raise ValueError(f"sft_weight needs pairs, and loss {self.loss} has none: remove it, or take another loss")
        if self.loss == "kto" and self.micro_batch_size == 1:
            raise ValueError("micro_batch_size 1: kto estimates a divergence from other answers of the batch: use 2")
        return self

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave newer keys out where they have their defaults: such a profile keeps the hash that it had."""
        newer = ("pairs", "loss", "sft_weight")
        defaults = {key: type(self).model_fields[key].default for key in newer}
        return {key: value for key, value in handler(self).items() if key not in newer or value != defaults[key]}


class RewardModel(Pairing):
    """A model that learns to score answers from pairs of a better and a worse one, by TRL: GRPO's reward may be its
    score. It starts from the SFT model, and is no part of the model that the run trains."""

    stage = "reward_model"


class Vllm(Section):
    """Rollouts sampled by vLLM on the training GPUs."""

    gpu_memory_utilization: float = Field(default=0.35, gt=0, lt=1)
    """The share of each GPU's memory that vLLM takes."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share one copy of the model."""
    max_model_length: int | None = Field(default=None, ge=64)
    """Longest prompt with its answer, in tokens, that memory is reserved for; None: the model's own maximum."""


class Grpo(TrlOptimization):
    """Group-relative policy optimization on judged answers, by TRL."""

    stage = "grpo"
    judged: ClassVar[bool] = True
    group_size: int = Field(default=8, ge=2)
    """Answers per prompt, compared with one another."""
    iterations: int = Field(default=1, ge=1)
    """Optimizer passes over each batch of rollouts."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Sample from the likeliest tokens that together have this probability: below 1 it cuts a small model's tail."""
    max_completion_length: int = Field(default=64, ge=8)
    """Longest answer, in tokens."""
    beta: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the SFT model; 0 loads no reference model."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    """The averaging of token losses, by TRL's name."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """The standard deviation that advantages are divided by. Bounded proper scores need no division."""
    reward: Literal["domain", "reward_model"] = "domain"
    """`domain`: the domain's grade of an answer. `reward_model`: the learned score, by the section of that name; the
    grade is still measured in each step, and chooses the weights to release."""
    vllm: Vllm | None = None
    """Sample rollouts by vLLM; None: by transformers' own `generate`."""
    collapse: Collapse | None = Collapse()
    """Signs at which a training counts as collapsed; None: it never does."""
    sample_steps: int = Field(default=10, ge=1)
    """Steps between two at which sampled answers are kept in the bucket, for people to read."""
    samples: int = Field(default=8, ge=0, le=64)
    """Number of answers that are kept each time; 0 keeps none."""

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `reward` out where it has its default: such a profile keeps the hash that it had."""
        return {key: value for key, value in handler(self).items() if key != "reward" or value != "domain"}

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        batch = self.micro_batch_size * self.generation_steps
        if batch % self.group_size:
            factor = "trl.steps_per_generation" if "steps_per_generation" in self.trl else "gradient_accumulation"
            raise ValueError(
                f"micro_batch_size x {factor} = {batch} is not a multiple of group_size "
                f"{self.group_size}: the nearest that is: {max(1, round(batch / self.group_size)) * self.group_size}"
            )
        return self

    @model_validator(mode="after")
    def _phase(self) -> Self:
        if self.save_steps % self.rollout_phase:
            nearest = max(1, round(self.save_steps / self.rollout_phase)) * self.rollout_phase
            raise ValueError(
                f"save_steps {self.save_steps} is not a multiple of the {self.rollout_phase} optimizer steps that "
                f"share one batch of rollouts (iterations {self.iterations}), so a resumed run would draw other "
                f"rollouts than an undisturbed one: use {nearest}"
            )
        return self

    def signs(self) -> Collapse | None:
        return self.collapse

    @property
    def generation_steps(self) -> int:
        """Forward passes that share one batch of rollouts."""
        return self.trl.get("steps_per_generation") or self.gradient_accumulation

    @property
    def rollout_phase(self) -> int:
        """Optimizer steps after which a new batch of rollouts begins: no checkpoint holds rollouts."""
        return (
            math.lcm(self.generation_steps * self.iterations, self.gradient_accumulation) // self.gradient_accumulation
        )

    @model_validator(mode="after")
    def _measured_divergence(self) -> Self:
        if self.collapse and self.collapse.max_kl and not self.beta:
            raise ValueError("collapse.max_kl bounds what is measured only with beta above 0: set beta, or remove it")
        return self

    @model_validator(mode="after")
    def _room_for_prompts(self) -> Self:
        longest = self.vllm.max_model_length if self.vllm else None
        if longest is not None and longest <= self.max_completion_length:
            raise ValueError(
                f"vllm.max_model_length {longest} leaves no room for a prompt beside max_completion_length "
                f"{self.max_completion_length}: use their sum"
            )
        return self
