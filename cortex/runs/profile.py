"""A profile: what to train and on what. One YAML in `jobs/profiles/`; validated once, here; then frozen."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, Self, cast

import yaml
from pydantic import Field, ValidationError, model_validator

from cortex.errors import ConfigError
from cortex.market.config import DataConfig
from cortex.reasoning.rewards import RewardWeights
from cortex.section import Section, nearest
from cortex.settings import CHECKOUT

PROFILES = CHECKOUT / "jobs" / "profiles"


class ScratchModel(Section):
    """The shape of a small Llama that is built from nothing, with a tokenizer trained on the corpus."""

    vocabulary: int = Field(default=1024, ge=300, le=65536)
    """Tokens at most."""
    hidden_size: int = Field(default=128, ge=16, multiple_of=16)
    """Width."""
    intermediate_size: int = Field(default=384, ge=16)
    """Width of the feed-forward layers."""
    layers: int = Field(default=3, ge=1)
    """Depth."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    context: int = Field(default=256, ge=32)
    """Longest sequence, in tokens."""


class Adapter(Section):
    """Train low-rank adapters in place of all weights."""

    kind: Literal["lora", "qlora"] = "lora"
    """`qlora` keeps the base in 4 bits while SFT trains."""
    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """Scale: updates are multiplied by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapter's input."""


class Model(Section):
    """Which model is trained, and how much of it."""

    base: str | None = None
    """A model hub's name or a local folder. Exactly one of `base` and `scratch` is given."""
    scratch: ScratchModel | None = None
    """Build the base instead."""
    licence: str = "apache-2.0"
    """The licence that the trained weights inherit, as the model card names it."""
    adapter: Adapter | None = None
    """None trains all weights."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "sdpa"
    """The attention kernel."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give exactly one of `base` (a name or a folder) and `scratch` (a shape to build)")
        if self.scratch and self.adapter:
            raise ValueError("an adapter cannot be trained on a model built from scratch: remove `adapter`")
        return self


class Teacher(Section):
    """Who writes the reasoning that SFT imitates."""

    model: str = "scripted-teacher"
    """The model's name at the endpoint."""
    url: str | None = None
    """An OpenAI-compatible endpoint; None serves the scripted teacher on loopback."""
    port: int = Field(default=0, ge=0, le=65535)
    """The scripted teacher's port; 0 takes a free one."""
    examples: int = Field(default=4000, ge=1)
    """How many training examples are labelled, evenly over time."""
    concurrency: int = Field(default=16, ge=1, le=512)
    """Requests under way at once."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Sampling temperature."""
    max_tokens: int = Field(default=2048, ge=16)
    """Longest answer."""


class Optimization(Section):
    """What every trainer takes."""

    learning_rate: float = Field(gt=0, lt=1)
    """Peak learning rate."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    """How it falls."""
    warmup_steps: int = Field(default=10, ge=0)
    """Optimizer steps over which it rises."""
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
    """How many checkpoints stay on the disk."""


class Sft(Optimization):
    """Supervised fine-tuning on the teacher's answers, by Axolotl."""

    sequence_length: int = Field(default=256, ge=32)
    """Longest prompt and answer, in tokens; longer examples are dropped."""
    optimizer: str = "adamw_torch"
    """An optimizer by Axolotl's name."""
    sample_packing: bool = False
    """Several examples in one sequence (needs flash attention)."""
    axolotl: dict[str, Any] = Field(default_factory=dict)
    """Further keys of Axolotl's own configuration, checked against its schema when the stage starts."""


class Dpo(Optimization):
    """Direct preference optimization on pairs of samples of one prompt, ranked by their realised score."""

    prompts: int = Field(default=256, ge=2)
    """Training prompts that are sampled."""
    samples: int = Field(default=4, ge=2)
    """Answers per prompt, of which the best and the worst make the pair."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature."""
    beta: float = Field(default=0.1, gt=0)
    """How strongly the model is held to its start."""


class Vllm(Section):
    """Rollouts sampled by vLLM on the training GPUs."""

    gpu_memory_utilization: float = Field(default=0.35, gt=0, lt=1)
    """The share of each GPU's memory that vLLM takes."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share one copy of the model."""
    max_model_length: int | None = Field(default=None, ge=64)
    """Longest prompt and answer, in tokens, that room is kept for; None keeps it for the longest the model can take."""


class Grpo(Optimization):
    """Group-relative policy optimization on outcomes, by TRL."""

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
    """How token losses are averaged."""
    scale_rewards: Literal["group", "batch", "none"] = "none"
    """What advantages are divided by. Bounded proper scores need no division."""
    rewards: RewardWeights = RewardWeights()
    """What an answer is paid for."""
    vllm: Vllm | None = None
    """None samples with transformers' own generate."""

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        batch = self.micro_batch_size * self.gradient_accumulation
        if batch % self.group_size:
            raise ValueError(
                f"micro_batch_size x gradient_accumulation = {batch} is not a multiple of group_size "
                f"{self.group_size}: the nearest that is: {max(1, round(batch / self.group_size)) * self.group_size}"
            )
        return self

    @model_validator(mode="after")
    def _phase(self) -> Self:
        if self.save_steps % self.iterations:
            nearest = max(1, round(self.save_steps / self.iterations)) * self.iterations
            raise ValueError(
                f"save_steps {self.save_steps} is not a multiple of iterations {self.iterations}, so a resumed run "
                f"would draw other rollouts than an undisturbed one: use {nearest}"
            )
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


class Gptq(Section):
    """One quantized copy, and how far it may differ from the full weights to be accepted."""

    bits: Literal[4, 8]
    """Bits per weight."""
    group_size: int = Field(default=128, ge=16)
    """Weights that share one scale."""
    max_kl: float = Field(gt=0)
    """Bound of the mean divergence of its next-token distributions, in nats, on held-out answers."""
    max_brier_loss: float = Field(ge=0)
    """Bound of the rise of its Brier score on held-out examples."""


class Export(Section):
    """Merged weights and their quantized copies."""

    gptq: tuple[Gptq, ...] = ()
    """Copies to make."""
    calibration_examples: int = Field(default=256, ge=8)
    """Training examples that GPTQ sees."""
    check_examples: int = Field(default=256, ge=8)
    """Validation examples on which the copies are compared with the full weights."""


class Evaluate(Section):
    """The judging of every model on the held-out period."""

    examples: int = Field(default=1000, ge=50)
    """How many test examples, evenly over the period; fewer where there are fewer."""
    batch_size: int = Field(default=64, ge=1)
    """Prompts per generation batch."""
    max_new_tokens: int = Field(default=64, ge=8)
    """Longest answer."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples."""


class Hardware(Section):
    """What the training stages run on."""

    device: Literal["cpu", "cuda"] = "cuda"
    """`cpu` turns off what needs a GPU."""
    gpus: int = Field(default=1, ge=1)
    """GPUs per machine; more than one trains sharded under FSDP2."""
    accelerator: str = "H100"
    """The GPU's name in SkyPilot's catalog."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of each process: fixed, since sums depend on it."""


class Budget(Section):
    """What a run may cost."""

    dollars: float = Field(default=0.0, ge=0)
    """The cap on a whole run, all attempts together; 0 means that it runs on a machine that costs nothing."""


class Profile(Section):
    """Everything that decides a run's result."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    """Lower-case letters, digits and hyphens."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """The seed of all randomness."""
    style: Literal["full", "compact"] = "full"
    """How prompts are written: prose, or words that a small model can read."""
    model: Model
    data: DataConfig = DataConfig()
    teacher: Teacher = Teacher()
    sft: Sft
    dpo: Dpo | None = None
    grpo: Grpo
    export: Export = Export()
    evaluate: Evaluate = Evaluate()
    hardware: Hardware = Hardware()
    budget: Budget = Budget()

    @model_validator(mode="after")
    def _whole_copies(self) -> Self:
        if self.grpo.vllm and self.hardware.gpus % self.grpo.vllm.tensor_parallel_size:
            gpus = self.hardware.gpus
            *fewer, most = (str(count) for count in range(1, gpus + 1) if gpus % count == 0)
            raise ValueError(
                f"grpo.vllm.tensor_parallel_size {self.grpo.vllm.tensor_parallel_size} does not divide the {gpus} "
                f"GPUs: use {', '.join(fewer) + ' or ' if fewer else ''}{most}"
            )
        return self

    @property
    def digest(self) -> str:
        """The hash that names this profile in manifests."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Canonical bytes: what `profile.json` in the bucket holds."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Self:
        """Read a resolved profile; `where` names it in the error.

        Raises:
            ConfigError: it is not a profile of this version.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise ConfigError(f"{where}: {_first(error)}") from error


def load_profile(name_or_path: str, overrides: dict[str, Any] | None = None) -> Profile:
    """Read a profile by its name in `jobs/profiles/` or by its path; `overrides` maps dotted keys to values.

    Raises:
        ConfigError: there is no such profile, it is no YAML mapping, or a value in it is wrong.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = PROFILES / f"{name_or_path}.yaml"
    try:
        raw: Any = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        known = sorted(found.stem for found in PROFILES.glob("*.yaml"))
        raise ConfigError(f"no profile {name_or_path!r}: {nearest(name_or_path, known)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} is not a YAML mapping")
    for dotted, value in (overrides or {}).items():
        _put(cast(dict[str, Any], raw), dotted, value)
    try:
        return Profile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first(error)}") from error


def _put(raw: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        inner: Any = raw.get(parent)
        raw[parent] = inner if isinstance(inner, dict) else {}
        raw = raw[parent]
    raw[last] = value


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"] if part not in ("simulator", "files", "flipside"))
    message = found["msg"].removeprefix("Value error, ")
    given = "" if isinstance(found["input"], dict) else f" (given: {found['input']!r})"
    return f"{place + ': ' if place else ''}{message}{given}"
