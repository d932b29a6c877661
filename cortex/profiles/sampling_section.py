"""A profile's section on sampling answers from a trained model: the engine, and the number of prompts at once."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cortex.section import Items, Section
from cortex.urls import check_http_url

Engine = Literal["transformers", "vllm", "endpoint"]


class Sampling(Section):
    """Sampling of a model's answers, in `evaluate` and for the pairs of `dpo`."""

    engine: Engine | None = None
    """`transformers`: one batch after another, in the stage's own process. `vllm`: vLLM on all GPUs of the machine.
    `endpoint`: an OpenAI-compatible server that serves each model under the run's name for it (`base`, `sft`, `grpo`,
    `gptq-w8`). None: transformers on a CPU, vLLM on a GPU."""
    batch_size: int = Field(default=256, ge=1)
    """Prompts that vLLM or the endpoint gets at once. Their answers are stored together, so a preemption loses at most
    this many. For transformers it is `evaluate.batch_size`."""
    gpu_memory_utilization: float = Field(default=0.9, gt=0, lt=1)
    """The share of each GPU's memory that vLLM takes; no other process uses the GPUs."""
    url: Annotated[str, AfterValidator(check_http_url)] | None = None
    """The endpoint's address."""
    concurrency: int = Field(default=64, ge=1, le=512)
    """Maximum number of concurrent requests to the endpoint."""
    patience_seconds: float = Field(default=900.0, ge=0, le=86400)
    """Seconds without any answer from the endpoint before the stage gives up."""

    bad_words: Items[Annotated[str, Field(min_length=1, max_length=100)]] = ()
    """Words and phrases whose tokens are never sampled one after another, in lower case, with a capital and in
    capitals. The evaluation judges the last model with this ban, too, as the contender `barred`."""

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.engine == "endpoint" and self.url is None:
            raise ValueError("engine endpoint needs an address: give `url` beside it")
        if self.engine == "endpoint" and self.bad_words:
            raise ValueError(
                "`bad_words` are banned by transformers and vLLM here: remove them, or choose one of these"
            )
        if self.engine != "endpoint" and self.url is not None:
            raise ValueError("`url` is for engine endpoint: set `engine: endpoint`, or remove `url`")
        return self

    @model_serializer(mode="wrap")
    def _without_newer(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `bad_words` out where there are none: such a profile keeps the hash that it had."""
        return {key: value for key, value in handler(self).items() if key != "bad_words" or value}

    def engine_on(self, device: str) -> Engine:
        """The engine that is used on a machine with this device."""
        return self.engine or ("vllm" if device == "cuda" else "transformers")
