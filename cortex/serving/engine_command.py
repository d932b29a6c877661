"""The command that starts an engine for a folder of weights: llama.cpp for a GGUF file, vLLM for all others."""

from collections.abc import Sequence
from pathlib import Path

from cortex.serving.engine import EngineCommand
from cortex.serving.llama_command import llama_command
from cortex.serving.vllm_command import vllm_command
from cortex.settings import Settings


def engine_command(
    weights: Path,
    name: str,
    port: int,
    settings: Settings,
    *,
    gpus: int,
    max_tokens: int,
    context: int,
    patterns: Sequence[str] = (),
) -> EngineCommand:
    """The command that serves `weights` as the model `name` on a port of the loopback.

    Answers end after `max_tokens`, or where the context does: the model's own in vLLM, and `context` tokens in
    llama.cpp, which sets memory aside for all of it. `patterns` are the regular expressions to which requests will keep
    their answers.

    Raises:
        ConfigError: this machine cannot run these weights, has no engine for them, or a pattern is none that it knows.
    """
    if any(weights.glob("*.gguf")):
        return llama_command(
            weights, name, port, settings, gpus=gpus, max_tokens=max_tokens, context=context, patterns=patterns
        )
    return vllm_command(weights, name, port, settings, gpus=gpus, max_tokens=max_tokens)
