"""Machines on which tests can run the real vLLM."""

import os
from pathlib import Path

import pytest


def skip_without_vllm() -> None:
    """Skip a test where vLLM's wheel for CPUs does not run."""
    if os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        pytest.skip("vLLM's wheel for CPUs is for Linux on x86-64")
    if " avx2 " not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("vLLM's wheel for CPUs needs a processor with AVX2")
