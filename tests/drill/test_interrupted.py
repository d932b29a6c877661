"""An interrupted drill leaves nothing behind: no program, no folder, no mounted disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex.drill.small_disk import why_no_small_disk
from cortex.process import running
from cortex.settings import CHECKOUT

PROGRAM = """
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

from cortex.cli import main
from cortex.drill import drill
from cortex.drill.attempts import Runner
from cortex.drill.bench import Bench
from cortex.drill.cases import Case
from cortex.drill.small_disk import SmallDisk
from cortex.drill.sides import Bare, Kit
from cortex.drill.stand_in import stand_in

@contextmanager
def untrained(profile, stage, python, folder, stopping):
    standin, runner = stand_in(profile, stage, folder / "base"), Runner(folder, {}, stopping)
    kit, bare = Kit(standin, folder / "ground", "drill"), Bare(standin, folder / "ground", "drill")
    for name in ("bucket", "home"):
        (folder / "machines" / "kit-interrupted" / name).mkdir(parents=True)
    yield Bench(standin, folder, runner, runner, kit, bare)

def on_a_small_disk(place):
    with SmallDisk(place.machine / "home"):
        Path("mounted").touch()
        while True:
            place.runner.pause()

# What runs tests on several cores ignores Ctrl-C, and so does what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
drill.environment, drill.bench = lambda *_: Path("/"), untrained
drill.cases = lambda bench: [Case("waits", on_a_small_disk, 1, 1, quick=True, bare=False)]
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_it_unmounts_its_disk_and_removes_its_folder(number: signal.Signals, code: int, tmp_path: Path) -> None:
    if why := why_no_small_disk():
        pytest.skip(f"expected: {why}")
    variables = {**os.environ, "CORTEX_HOME": str(tmp_path / "home"), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", PROGRAM, "drill", "--quick"]
    with running(command, env=variables, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 120
        while not (tmp_path / "mounted").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        assert str(tmp_path) in Path("/proc/mounts").read_text(encoding="utf-8")
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    assert str(tmp_path) not in Path("/proc/mounts").read_text(encoding="utf-8")
    assert not list((tmp_path / "home" / "drill").iterdir())
