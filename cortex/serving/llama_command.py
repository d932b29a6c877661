"""The command that serves a GGUF file with llama.cpp on this machine, and the translation of requests for vLLM."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from loguru import logger

from cortex.errors import ConfigError
from cortex.local.environments import environment, on_path
from cortex.serving import llama_program
from cortex.serving.engine import Body, EngineCommand
from cortex.settings import Settings

IMAGE = "llama-cpp"
"""The environment with llama.cpp's server."""

SLOTS = 8
"""Requests that llama.cpp works on at a time; others wait there. It sets memory aside for the context of each."""


def llama_command(
    weights: Path,
    name: str,
    port: int,
    settings: Settings,
    *,
    gpus: int,
    max_tokens: int,
    context: int,
    patterns: Sequence[str],
) -> EngineCommand:
    """The command that serves the GGUF file in `weights` as the model `name`, on this machine's processor.

    Raises:
        ConfigError: there is no such file, or more than one; no llama.cpp; or it does not know a pattern.
    """
    files = sorted(weights.glob("*.gguf"))
    if len(files) != 1:
        raise ConfigError(f"{weights} holds {len(files)} GGUF files: one is served")
    if find_spec("vllm"):
        raise ConfigError(
            f"{weights} holds a GGUF copy, and this image has vLLM alone: serve another copy here, or this one by "
            "`make serve LOCAL=1` on a laptop"
        )
    if gpus:
        logger.warning(f"{weights.name}: llama.cpp serves it on the processor; the GPUs are left to others")
    folder = environment(IMAGE, settings)
    python = (str(folder / "bin" / "python"), "-I", str(llama_program.__file__))
    # Threads that wait for one another sleep: spinning ones take the processor from the gateway beside them.
    variables = {**os.environ, **on_path(folder), "OMP_WAIT_POLICY": "PASSIVE"}
    grammars = _grammars(patterns, python, variables)
    options = {
        "file": str(files[0]),
        "name": name,
        "port": port,
        "slots": SLOTS,
        "context": context,
        "max_tokens": max_tokens,
    }
    words = (*python, "serve", json.dumps(options))
    return EngineCommand(words, variables, llama_program.KEY_VARIABLE, lambda body: translate(body, grammars))


def translate(body: Body, grammars: Mapping[str, str]) -> Body:
    """The body of a request for vLLM as one for llama.cpp; `grammars` has the grammar of each regular expression."""
    pattern = body.get("structured_outputs", {}).get("regex")
    given = {key: value for key, value in body.items() if key != "structured_outputs"}
    # What is kept of an earlier prompt differs in its last bits from what is computed together. A greedy answer is to
    # be that of the judges, whatever was asked before.
    given["cache_prompt"] = body.get("temperature") != 0
    return given if pattern is None else given | {"grammar": grammars[pattern]}


def _grammars(patterns: Sequence[str], python: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """The grammar of each regular expression, for llama.cpp."""
    done = subprocess.run(
        [*python, "grammars"],
        input=json.dumps(list(patterns)),
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it printed nothing"]
        raise ConfigError(f"llama.cpp cannot keep answers to the form that a domain asks for: {said[-1]}")
    return dict(zip(patterns, json.loads(done.stdout), strict=True))
