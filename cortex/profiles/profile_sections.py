"""The sections of a profile that have no file of their own: model, evaluate, hardware, budget, estimates."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from cortex.domains.probe_section import ProbeCounts
from cortex.section import NameOrFolder, Section


class ScratchModel(Section):
    """The shape of a small Llama that is built from nothing, with a tokenizer trained on the corpus."""

    vocabulary: int = Field(default=1024, ge=300, le=65536)
    """Maximum number of tokens."""
    hidden_size: int = Field(default=128, ge=16, multiple_of=16)
    """Width."""
    intermediate_size: int = Field(default=384, ge=16)
    """Width of the feed-forward layers."""
    layers: int = Field(default=3, ge=1)
    """Depth."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads of keys and values, each shared by as many attention heads; None: one for each attention head."""
    rope_theta: float = Field(default=10000.0, gt=0)
    """Base of the rotary position embedding's wavelengths."""
    context: int = Field(default=256, ge=32)
    """Longest sequence, in tokens."""
    pieces: Literal["words", "characters", "gpt2"] = "words"
    """Largest part of a text that can become one token: words, and names with their levels; single letters and digits,
    with tags whole; or GPT-2's pieces, the only ones of these that llama.cpp knows, and so the ones for GGUF copies."""

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is no multiple of kv_heads {self.kv_heads}")
        return self

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave newer keys out where they have their default: such a profile keeps the hash that it had."""
        newer = {"kv_heads": None, "rope_theta": 10000.0}
        return {key: value for key, value in handler(self).items() if key not in newer or value != newer[key]}


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
    """The model to train, and how much of it."""

    base: NameOrFolder | None = None
    """A model hub's name or a local folder. Exactly one of `base` and `scratch` is given."""
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The commit of the base on the hub, in 40 hexadecimal digits. None: the main branch's at the launch, or, if no hub
    answers then, when the base is first loaded; the run keeps to that commit."""
    scratch: ScratchModel | None = None
    """Build a small base in place of `base`."""
    licence: str = "apache-2.0"
    """The licence that the trained weights inherit, as the model card names it."""
    adapter: Adapter | None = None
    """The adapter to train; None trains all weights."""
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "sdpa"
    """The attention kernel."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give exactly one of `base` (a name or a folder) and `scratch` (a shape to build)")
        if self.revision and (self.base is None or self.base.startswith((".", "~", "/"))):
            raise ValueError("`revision` is a commit of a model of the hub: a base of this machine has none; remove it")
        if self.scratch and self.adapter:
            raise ValueError("an adapter cannot be trained on a model built from scratch: remove `adapter`")
        return self


class Evaluate(Section):
    """The judging of every model on the test split."""

    examples: int = Field(default=1000, ge=50)
    """Number of test examples, evenly over the period; all of them where there are fewer."""
    batch_size: int = Field(default=64, ge=1)
    """Prompts per generation batch of transformers, whose answers are stored together; see `sampling` for vLLM."""
    max_new_tokens: int = Field(default=64, ge=8)
    """Longest answer, in tokens."""
    resamples: int = Field(default=1000, ge=100)
    """Bootstrap resamples."""
    probes: ProbeCounts = ProbeCounts()
    """Further questions to the model that the verdict is about, for chapters of the evaluation. Default: none."""
    cutoff: date | None = None
    """The last day of what the base was trained on, as its maker states it: scores are split there."""
    debate: bool = False
    """Judge debates of the model that the verdict is about, too, as one more contender: each takes several answers."""

    base_at_once: bool = False
    """Judge the base without reasoning, too: it is asked for the answer alone."""

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer keys that are false: a profile that sets none keeps the hash that it had."""
        values = handler(self)
        return {key: value for key, value in values.items() if key not in ("debate", "base_at_once") or value}


class Hardware(Section):
    """The machines of a run."""

    device: Literal["cpu", "cuda"] = "cuda"
    """`cpu` turns off everything that needs a GPU."""
    gpus: int = Field(default=1, ge=1)
    """GPUs per machine; more than one trains sharded."""
    nodes: int = Field(default=1, ge=1, le=64)
    """Machines that train together, each with `gpus`; everything else runs on one."""
    sharding: Literal["fsdp2", "zero3"] = "fsdp2"
    """The library that splits the model over all GPUs: PyTorch's FSDP2, or DeepSpeed's ZeRO-3."""
    export_gpus: int = Field(default=1, ge=1)
    """GPUs of the machine that exports. One is enough if the model's weights fit into the host's memory in bf16."""
    evaluate_gpus: int | None = Field(default=None, ge=1)
    """GPUs of the machine that evaluates, if fewer are enough: vLLM splits one bf16 model over them. None: `gpus`."""
    accelerator: str = "H100"
    """The GPU's name in SkyPilot's catalog."""
    threads: int = Field(default=2, ge=1)
    """CPU threads of each process: fixed, since sums depend on it."""

    @property
    def processes(self) -> int:
        """Number of training processes: one for each GPU of each machine."""
        return self.gpus * self.nodes

    @property
    def gpus_to_evaluate(self) -> int:
        return self.evaluate_gpus or self.gpus


class Budget(Section):
    """The limits of a run: dollars, and hours."""

    dollars: float = Field(default=0.0, ge=0)
    """The cap on the cost of a whole run: all attempts and machines, each from its cloud's launch on; 0: no cap."""
    failed_launches: int | None = Field(default=5, le=1000)
    """Launches in a row that may fail before `cortex run` begins; then the run is given up. null: any number. SkyPilot
    waits longer before each, so that five outlast a registry or a mirror that is away for a quarter of an hour. After
    that, the fault is in the image or the setup, and the next launch would fail, too."""
    failed_dollars: float | None = Field(default=40.0, le=1e6)
    """Maximum cost of such launches in a row, the current one included; null: any sum. The default is about an hour of
    eight H100s on spot, several times what pulling an image onto them costs."""
    hours: float = Field(default=0.0, ge=0, le=8760)
    """The deadline, in hours from the launch to the release. Machines on demand are used where spot ones are not enough
    to meet it. 0: no deadline; the run then takes the machines of the pipeline's file, however long that takes."""
    max_duration: float = Field(default=0.0, ge=0, le=8760)
    """Hours from the launch after which the run stops, as it does at the cap of `dollars`; 0: no limit."""

    @field_validator("failed_launches", "failed_dollars")
    @classmethod
    def _some(cls, value: float | None) -> float | None:
        if value is not None and value <= 0:
            raise ValueError("would end every run at its first launch: give more than 0, or null for no wall")
        return value

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out defaults, except for `dollars`: a profile that sets no newer key keeps the hash that it had."""
        known = type(self).model_fields
        return {key: value for key, value in handler(self).items() if key == "dollars" or value != known[key].default}


class Estimates(Section):
    """Expected durations, for the estimate alone, in place of those that `cortex plan` computes.

    Measurements of a finished run are better than both: `--like`.
    """

    pretrain: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of pretraining, of all phases on average."""
    sft: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of SFT."""
    dpo: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of DPO."""
    distill: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of distillation, with its answers."""
    reward_model: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of the reward model."""
    grpo: float | None = Field(default=None, gt=0)
    """Seconds per optimizer step of GRPO, with its rollouts."""
    other_hours: float | None = Field(default=None, ge=0)
    """Hours of everything else on the same machines: labels, pairs, export, evaluation."""
    restart_minutes: float | None = Field(default=None, ge=0)
    """Minutes from the request for a machine to its first step: boot, image, weights."""
    save_seconds: float | None = Field(default=None, ge=0)
    """Seconds for which training pauses at a checkpoint."""

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave newer keys out where they have no value: a profile that sets none keeps the hash that it had."""
        newer = ("pretrain", "distill", "reward_model")
        return {key: value for key, value in handler(self).items() if key not in newer or value is not None}
