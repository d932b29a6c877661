"""Training steps traced in a training environment at two shallow depths each, and extrapolated to the full model."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from cortex.errors import StageError
from cortex.fleet.capacity.architecture import Architecture
from cortex.fleet.capacity.phase import TRACED
from cortex.fleet.capacity.requests import Step, request
from cortex.fleet.capacity.sheets import GpuSheet
from cortex.fleet.capacity.step_cost import Pass, StepCost
from cortex.local.environments import cpu_lock, environment, existing_environment, on_path
from cortex.settings import CHECKOUT, Settings

IMAGE = "grpo"
"""The image whose environment runs the traces: it has TRL and transformers, and imports faster than Axolotl's."""

DEPTHS = (5, 6)
"""Layers of the traced models: from five on, every segment of a step grows linearly with the number of layers
(tests/tracing/test_step_trace.py)."""

Tracing = Literal["never", "kept", "here", "made"]
"""Effort for traces: `never` uses closed forms alone; `kept` uses earlier traces; `here` traces in the environment if
it is installed; `made` installs it first, some gigabytes."""

PROGRAM = "cortex.tracing.step_trace"
_SOURCES = (
    "tracing/step_trace.py",
    "tracing/step_request.py",
    "tracing/step_recorder.py",
    "tracing/roofline.py",
    "tracing/packed_linear.py",
    "trainers/precision.py",
)


class UntraceableError(StageError):
    """The trainers' libraries cannot run a step of this model; closed forms may still count it."""


def traced_steps(
    steps: Mapping[str, Step],
    config: Mapping[str, Any],
    architecture: Architecture,
    sheet: GpuSheet,
    settings: Settings,
    tracing: Tracing = "here",
    *,
    on_start: Callable[[str], None] = lambda words: None,
) -> dict[str, StepCost]:
    """The cost of each stage's step; empty where one of them has no trace, and `tracing` does not allow to make it.

    `on_start` is called with the name of each slow action before it starts.

    Raises:
        StageError: the environment could not be made.
        UntraceableError: the environment's libraries cannot build the model, or run a step of it.
    """
    asked = {
        stage: json.dumps([request(step, config, depth, sheet) for depth in DEPTHS], sort_keys=True)
        for stage, step in steps.items()
    }
    kept = {stage: _kept(text, settings) for stage, text in asked.items()}
    missing = [stage for stage, path in kept.items() if not path.is_file()]
    if missing:
        folder = existing_environment(IMAGE, settings) if tracing in ("here", "made") else None
        if folder is None and tracing == "made":
            on_start(f"making the environment {IMAGE}")
            folder = environment(IMAGE, settings)
        if folder is None:
            return {}
        on_start(f"tracing a step of {', '.join(missing)}")
        _trace({stage: asked[stage] for stage in missing}, kept, folder)
    return {
        stage: _at_depth(path.read_text(encoding="utf-8"), architecture.layers).with_moments(steps[stage])
        for stage, path in kept.items()
    }


def _kept(asked: str, settings: Settings) -> Path:
    """Path of a kept trace, named by a hash of all that the trace depends on."""
    digest = hashlib.sha256(asked.encode())
    digest.update(cpu_lock(IMAGE).read_bytes())
    for name in _SOURCES:
        digest.update((CHECKOUT / "cortex" / name).read_bytes())
    return settings.home / "capacity" / f"{digest.hexdigest()[:32]}.jsonl"


def _trace(asked: Mapping[str, str], kept: Mapping[str, Path], folder: Path) -> None:
    """Trace the stages at the same time, each in a process of its own."""
    variables = {**os.environ, **on_path(folder), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    command = [folder / "bin" / "python", "-m", PROGRAM]
    programs = {
        stage: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=variables,
            cwd=CHECKOUT,
        )
        for stage in asked
    }
    try:
        for stage, program in programs.items():
            assert program.stdin
            program.stdin.write(asked[stage])
            program.stdin.close()
        for stage, program in programs.items():
            assert program.stdout and program.stderr
            found, complaints = program.stdout.read(), program.stderr.read()
            if program.wait():
                last = complaints.strip().splitlines()[-1:] or [f"its program ended with {program.returncode}"]
                raise UntraceableError(f"a step of {stage} cannot be traced: {last[0].strip()[:300]}")
            path = kept[stage]
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(f".{os.getpid()}")
            aside.write_text(found, encoding="utf-8")
            aside.rename(path)
    finally:
        for program in programs.values():
            program.kill()
            program.wait()


def _at_depth(text: str, layers: int) -> StepCost:
    """Extrapolate two shallow traces to a model with `layers` layers."""
    low, high = (json.loads(line) for line in text.splitlines())

    def line(*keys: str) -> float:
        below, above = low, high
        for key in keys:
            below, above = below[key], above[key]
        return above + (layers - high["layers"]) * (above - below) / (high["layers"] - low["layers"])

    segments = list(high["segments"])

    def total(key: str, among: list[str]) -> float:
        return sum(line("segments", segment, key) for segment in among)

    back = [segment for segment in segments if segment not in ("forward", "optimizer")]
    return StepCost(
        # The middle layers' peak lies between those of the last and the first layers.
        peak=max(line("segments", segment, "peak") for segment in segments if segment != "middle"),
        static=line("static"),
        trained=round(line("trained")),
        forward=Pass(line("segments", "forward", "seconds"), line("segments", "forward", "gathered")),
        backward=Pass(total("seconds", back), total("gathered", back) + total("scattered", back)),
        update=line("segments", "optimizer", "seconds"),
        basis=TRACED,
    )
