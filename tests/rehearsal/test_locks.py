"""A CPU lock serves two kinds of machines: with a CPU wheel of torch on offer, and with the index alone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cortex.local.environments import cpu_lock

pytestmark = pytest.mark.rehearsal

WITH_TORCH = ("sft", "grpo", "quantize")


def planned(image: str, folder: Path, **variables: str) -> dict[str, str]:
    """Versions, by name, that uv would install from an image's CPU lock."""
    others = {name: value for name, value in os.environ.items() if name not in ("UV_FIND_LINKS", "PIP_FIND_LINKS")}
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "--quiet", "venv", "--python", sys.executable, folder], env=others, check=True)
    command = [uv, "pip", "install", "--dry-run", "--python", folder / "bin" / "python", "-r", cpu_lock(image)]
    done = subprocess.run(command, env=others | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    added = [line.removeprefix(" + ") for line in done.stderr.splitlines() if line.startswith(" + ")]
    return dict(line.split("==", 1) for line in added)


@pytest.mark.parametrize("image", WITH_TORCH)
def test_the_index_alone_is_enough(image: str, tmp_path: Path) -> None:
    versions = planned(image, tmp_path / "venv")
    assert "+" not in versions["torch"]
    assert "nvidia-cublas" in versions


@pytest.mark.parametrize("image", WITH_TORCH)
def test_an_offered_cpu_wheel_is_taken_and_brings_no_cuda(image: str, tmp_path: Path) -> None:
    plain = planned(image, tmp_path / "venv")["torch"]
    offered = tmp_path / "wheels"
    offered.mkdir()
    wheel = offered / f"torch-{plain}+cpu-py3-none-any.whl"
    info = f"torch-{plain}+cpu.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {plain}+cpu\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    versions = planned(image, tmp_path / "again", UV_FIND_LINKS=str(offered))
    assert versions["torch"] == f"{plain}+cpu"
    assert "nvidia-cublas" not in versions
