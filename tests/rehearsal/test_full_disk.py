"""A disk that fills in the middle of a save: one line says so, and nothing is lost once there is room."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.errors import ConfigError
from tests.rehearsal.bed import GRPO, Bed, events
from tests.rehearsal.killing import Chain

pytestmark = pytest.mark.rehearsal

ROOM = 150_000
"""Bytes: enough for the weights of the next checkpoint, not for its optimizer's state."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few checkpoints."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", tmp_path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"expected: only root may mount a small disk ({mounted.stderr.strip()})")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_disk_that_fills_in_a_save_costs_nothing_but_time(bed: Bed, small_disk: Path) -> None:
    expected, run = bed.expected(GRPO), "full-disk"
    chain = Chain(bed.task(GRPO, run, work=small_disk / "work"), bed.bucket, bed.variables)
    assert chain.kill("upload", random.Random(0))
    before = chain.newest()
    assert before

    # What the kill left unsaved would be removed before the next save, and so make room for it.
    for unsaved in (chain.folder / "trainer").glob("checkpoint-*"):
        shutil.rmtree(unsaved)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(small_disk).free - ROOM)
    assert chain.finish(chain.start()) == ConfigError.exit_code, chain.output
    [error] = [line for line in chain.output.splitlines() if line.startswith("error: ")]
    assert f"resuming from checkpoint-{before}" in chain.output
    assert f"checkpoint-{before + 2}: the disk is full" in error
    assert "larger disk_size" in error
    assert chain.newest() == before

    ballast.unlink()
    assert chain.weights() == expected
    assert f"resuming from checkpoint-{before}" in chain.output
    assert not events(run, "checkpoint_quarantined")
