import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from cortex.process import running

LEADER = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_leaving_ends_the_program() -> None:
    with running(["sleep", "60"]) as process:
        assert process.poll() is None
    assert process.returncode == -signal.SIGTERM


def test_leaving_ends_what_the_program_left_behind() -> None:
    with running([sys.executable, "-c", LEADER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        assert process.wait(timeout=10) == 0
        assert alive(left)
    assert gone(left)
    assert process.returncode == 0


def test_a_program_dies_with_the_one_that_started_it_even_by_sigkill() -> None:
    starter = (
        "import time; from cortex.process import running\n"
        "with running(['sh', '-c', 'echo $$; exec sleep 60']):\n"
        "    time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        os.kill(parent.pid, signal.SIGKILL)
        assert gone(child)


def test_the_program_gets_the_variables_the_folder_and_no_input(tmp_path: Path) -> None:
    show = "import os, sys; print(os.getcwd(), os.environ['WORD'], repr(sys.stdin.read()))"
    with running(
        [sys.executable, "-c", show], env={**os.environ, "WORD": "x"}, cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.communicate(timeout=10)[0].split() == [str(tmp_path), "x", "''"]
