"""The GPUs that a stage uses, and a check that they start, made before the machine downloads anything."""

import json
import subprocess
import sys

from loguru import logger

from cortex.errors import ConfigError
from cortex.profiles.profile_sections import Hardware
from cortex.runs.stage_list import LOADING, TRAINERS
from cortex.text import harmless

PATIENCE = 300.0
"""Seconds within which a machine must start its GPUs; eight of them take about ten."""

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
"""A program of its own, since CUDA in this process would hold memory, and could not be used in a forked trainer."""

STARTS = "PyTorch starts"
"""The beginning of the log line of a stage whose GPUs start."""

FABRIC_MANAGER = "802"
"""The code of CUDA's `cudaErrorSystemNotReady`: on an NVSwitch machine the Fabric Manager does not run. Source: CUDA
Runtime API."""


def gpus_of(stage: str, hardware: Hardware) -> int:
    """The GPUs of one machine that a stage uses, if the profile has any."""
    if stage in TRAINERS:
        return hardware.gpus
    return hardware.gpus_to_evaluate if stage == "evaluate" else hardware.export_gpus


def require_gpus(stage: str, hardware: Hardware) -> None:
    """Check that PyTorch starts as many GPUs here as the stage uses.

    Raises:
        ConfigError: it starts fewer; the message has CUDA's reason. The job is not recovered after this error, since
            another machine with the same image would fail, too.
    """
    if hardware.device != "cuda" or stage not in LOADING:
        return
    wanted = gpus_of(stage, hardware)
    there, reason = _count_started()
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


def _count_started() -> tuple[int, str]:
    """The number of GPUs that start on this machine; and their names, or CUDA's reason why no more start."""
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
    except (ValueError, IndexError, TypeError, KeyError):  # the program ended before it printed its last line
        return 0, harmless(([f"exit code {done.returncode}", *done.stderr.strip().splitlines()])[-1], limit=300)
    return there, harmless(found.get("error") or found.get("what", ""), limit=300)
