"""GPUs are looked for before a stage downloads anything. This machine has none: a stand-in for PyTorch reports
others."""

from pathlib import Path

import pytest
from loguru import logger

from cortex.errors import ConfigError
from cortex.profiles.profile_file import load_profile
from cortex.profiles.profile_sections import Hardware
from cortex.runs import gpus
from cortex.runs.gpus import STARTS, gpus_of, require_gpus

TORCH = """
class cuda:
    device_count = staticmethod(lambda: {count})
    init = staticmethod(lambda: None)
    get_device_name = staticmethod(lambda gpu: "NVIDIA L4")

class version:
    cuda = "12.8"

def zeros(size, device):
    {start}
"""


@pytest.fixture
def torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name, filled by the test, which the started programs import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "torch.py"


def test_who_uses_no_gpu_is_not_asked(torch: Path) -> None:
    torch.write_text("raise SystemExit('asked')", encoding="utf-8")
    require_gpus("sft", Hardware(device="cpu", gpus=8))
    require_gpus("label", Hardware(gpus=8))
    require_gpus("release", Hardware(gpus=8))


def test_each_stage_is_asked_for_what_it_uses(torch: Path) -> None:
    torch.write_text(TORCH.format(count=4, start="pass"), encoding="utf-8")
    hardware = Hardware(gpus=8, export_gpus=1, evaluate_gpus=4)
    assert [gpus_of(stage, hardware) for stage in ("sft", "grpo", "evaluate", "export")] == [8, 8, 4, 1]
    require_gpus("evaluate", hardware)
    require_gpus("export", hardware)
    with pytest.raises(ConfigError, match=r"PyTorch starts 4 on this machine \(NVIDIA L4, CUDA 12.8\): see `nvid"):
        require_gpus("sft", hardware)


def test_the_gpus_that_start_are_named_in_the_log(torch: Path) -> None:
    torch.write_text(TORCH.format(count=2, start="pass"), encoding="utf-8")
    said = list[str]()
    sink = logger.add(said.append, format="{message}")
    try:
        require_gpus("sft", Hardware(gpus=2))
    finally:
        logger.remove(sink)
    assert said == [f"sft: {STARTS} 2 GPUs: NVIDIA L4, CUDA 12.8\n"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            TORCH.format(count=8, start='raise RuntimeError("Error 802: system not yet initialized")'),
            "starts 0 on this machine (RuntimeError: Error 802: system not yet initialized): its system runs no Fabric",
        ),
        (TORCH.format(count=1, start='raise RuntimeError("driver\\ntoo old")'), "(RuntimeError: driver too old): see"),
        ("raise ImportError('libcuda.so.1')", "(ImportError: libcuda.so.1): see `nvidia-smi`"),
        ("import os; os.abort()", "starts 0 on this machine (exit code -6"),
        ("import os; print(5, flush=True); os._exit(3)", "starts 0 on this machine (exit code 3)"),
        ("import time; time.sleep(60)", "(CUDA has not started in 1 s)"),
    ],
)
def test_cudas_own_reason_is_told(text: str, said: str, torch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.write_text(text, encoding="utf-8")
    monkeypatch.setattr(gpus, "PATIENCE", 1.0 if "sleep" in text else 60.0)
    with pytest.raises(ConfigError) as caught:
        require_gpus("grpo", Hardware(gpus=1))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_shipped_profiles_ask_for_their_gpus_and_the_rehearsal_for_none() -> None:
    require_gpus("sft", load_profile("rehearsal").hardware)
    assert gpus_of("sft", load_profile("cortex-70b").hardware) == 8
