import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex.drill.breaks import Break
from cortex.settings import CHECKOUT

PROGRAM = """
from pathlib import Path
from cortex.drill import breaks
breaks.install()
folder = Path({folder!r})
print("step 1")
print("step 2")
(folder / "part").write_text("x")
(folder / "part").rename(folder / "whole")
(folder / "after").touch()
"""

WHERE = {"says": "step 2", "writes": "part$", "renames": "whole$"}


def start(folder: Path, one: Break) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(folder=str(folder))],
        env={**os.environ, **one.variables(), "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(one: Break, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 20
    while not one.reached:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("at", ["says", "writes", "renames"])
def test_a_program_stops_at_its_break_and_only_once(at: str, tmp_path: Path) -> None:
    one = Break(at, WHERE[at], str(tmp_path / "stopped"))  # type: ignore[arg-type]
    process = start(tmp_path, one)
    wait_for(one, process)
    assert not (tmp_path / "whole").exists()
    assert (tmp_path / "part").exists() == (at == "renames")
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    output, _ = process.communicate()
    assert at != "says" or output.splitlines() == ["step 1", "step 2"]  # it said so before it stopped

    again, _ = start(tmp_path, one).communicate(timeout=20)
    assert again.split("\n") == ["step 1", "step 2", ""]
    assert (tmp_path / "after").exists()


def test_it_goes_on_when_it_is_let(tmp_path: Path) -> None:
    one = Break("writes", "part$", str(tmp_path / "stopped"))
    process = start(tmp_path, one)
    wait_for(one, process)
    one.go_on()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (tmp_path / "whole").exists()
