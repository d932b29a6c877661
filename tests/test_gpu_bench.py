"""`scripts/bench/gpu.py` runs where a rented machine would run it, here at a tiny shape on the CPU."""

import json
import subprocess
from pathlib import Path

import pytest

from cortex.local.environments import environment, on_path
from cortex.settings import CHECKOUT, Settings
from tests.conftest import environment as variables

SMALL = {
    "device": "cpu",
    "shape": "tiny",
    "rows": 2,
    "tokens": 64,
    "completion": 16,
    "steps": 6,
    "only": "peak,sft,grpo",
}


@pytest.mark.rehearsal
def test_every_part_of_the_gpu_bench_measures(tmp_path: Path) -> None:
    made = environment("grpo", Settings())
    out = tmp_path / "figures.json"
    small = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [made / "bin" / "python", CHECKOUT / "scripts" / "bench" / "gpu.py", *small, "--out", out]
    done = subprocess.run(
        command, env=variables(tmp_path) | on_path(made), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["peak"]["flops"] > 0 and figures["peak"]["bandwidth"] > 0
    for name in ("sft", "grpo"):
        assert all(figures[f"{name} {kind}"].get("step", 0) > 0 for kind in ("bare", "kit", "plan")), figures
        assert figures[f"{name} plan"]["operations"] > 0 and figures[f"{name} plan"]["peak"] > 0
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith(("| sft", "| grpo"))]
    assert [row[0].strip() for row in rows] == ["sft", "grpo"]
    assert all(float(row[2]) > 0 and float(row[3]) > 0 for row in rows), rows
