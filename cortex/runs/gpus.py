"""The GPUs that a stage uses, and whether its machine starts them: asked before anything is downloaded on its clock."""

import json
import subprocess
import sys

from loguru import logger

from cortex.errors import ConfigError
from cortex.runs.profile_sections import Hardware
from cortex.runs.stages import LOADING, TRAINERS
from cortex.text import harmless

PATIENCE = 300.0
"""Seconds in which a machine starts its GPUs; eight of them take about ten."""

LOOK = """
import json
try:
    import torch
    count = torch.cuda.device_count()
    for gpu in range(count):
        torch.zeros(1, device=f"cuda:{gpu}")  # one that is listed need not start
    torch.cuda.init()
    kinds = sorted({torch.cuda.get_device_name(gpu) for gpu in range(count)})
    print(json.dumps({"gpus": count, "what": f"{', '.join(kinds)}, CUDA {torch.version.cuda}" if kinds else ""}))
except Exception as error:
    print(json.dumps({"gpus": 0, "error": f"{type(error).__name__}: {error}"}))
"""
"""A program of its own: CUDA in this one would be handed down to no trainer that is forked, and holds memory."""

STARTS = "PyTorch starts"
"""How the log of a stage that found its GPUs begins to say so."""

FABRIC_MANAGER = "802"
"""CUDA's `cudaErrorSystemNotReady`: an NVSwitch machine whose Fabric Manager does not run. Source: CUDA Runtime API."""


def gpus_of(stage: str, hardware: Hardware) -> int:
    """How many GPUs of one machine a stage uses, where the profile has any."""
    if stage in TRAINERS:
        return hardware.gpus
    return hardware.gpus_to_evaluate if stage == "evaluate" else hardware.export_gpus


def require_gpus(stage: str, hardware: Hardware) -> None:
    """Check that PyTorch starts as many GPUs here as the stage uses.

    Raises:
        ConfigError: it starts fewer; the message has CUDA's own reason. Another machine of the same image would be no
            better, so this is no error to recover from.
    """
    if hardware.device != "cuda" or stage not in LOADING:
        return
    wanted = gpus_of(stage, hardware)
    there, reason = _started()
    if there >= wanted:
        logger.info(f"{stage}: {STARTS} {there} GPU{'s' if there > 1 else ''}: {reason}")
        return
    fix = "see `nvidia-smi` on it; the image is for the CUDA of its lock, the profile for hardware.gpus"
    if FABRIC_MANAGER in reason:
        fix = "its system runs no Fabric Manager: rent in another region, or another type (docs/first-run.md)"
    raise ConfigError(
        f"{stage} needs {wanted} GPU{'s' if wanted > 1 else ''}, and PyTorch starts {there} on this machine"
        f"{f' ({reason})' if reason else ''}: {fix}"
    )


def _started() -> tuple[int, str]:
    """How many GPUs start on this machine; and which they are, or why no more do, where CUDA says it."""
    look = [sys.executable, "-c", LOOK]
    try:
        done = subprocess.run(
            look, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return 0, f"CUDA has not started in {PATIENCE:g} s"
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        there = int(found["gpus"])
    except (ValueError, IndexError, TypeError, KeyError):  # it did not come to its last line
        return 0, harmless(([f"exit code {done.returncode}", *done.stderr.strip().splitlines()])[-1], limit=300)
    return there, harmless(found.get("error") or found.get("what", ""), limit=300)
