import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex.process import running
from cortex.settings import CHECKOUT

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


TERMINATED = """
import asyncio, os, signal, sys, time
from cortex.errors import PreemptedError
from cortex.process import terminable

def come() -> None:
    os.kill(os.getpid(), signal.SIGTERM)

class Finalized:
    def __del__(self) -> None:
        come()

{work}

try:
    with terminable():
        work()
except PreemptedError as error:
    print(error)
    sys.exit(error.exit_code)
"""
WORK = {
    "plain code": """
def work():
    come()
    time.sleep(30)
""",
    "a library that takes every fault for one to be retried": """
def work():
    for _ in range(100):
        try:
            come()
            time.sleep(30)
        except Exception:
            time.sleep(0.3)
""",
    "a fault on the way out": """
def work():
    try:
        come()
    finally:
        raise ConnectionError("the connection broke")
""",
    "a finalizer, whose exceptions Python ignores": """
def work():
    Finalized()
""",
    "a callback of an event loop, which logs its exceptions": """
def work():
    async def main():
        asyncio.get_running_loop().call_later(0.05, come)
        await asyncio.gather(*(asyncio.sleep(30) for _ in range(4)))
    asyncio.run(main())
""",
    "a task, whose awaiter takes faults for answers": """
def work():
    async def fail():
        come()
        await asyncio.sleep(30)
    async def main():
        while True:
            await asyncio.gather(fail(), return_exceptions=True)
    asyncio.run(main())
""",
    "a task of a group": """
def work():
    async def fail():
        come()
        await asyncio.sleep(30)
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(asyncio.sleep(30))
    asyncio.run(main())
""",
}


@pytest.mark.parametrize("where", WORK)
def test_sigterm_ends_what_is_under_way_wherever_it_comes(where: str) -> None:
    """The program ends with a preemption's exit code, and asyncio says nothing of exceptions that nobody took."""
    program = TERMINATED.format(work=WORK[where])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False, cwd=CHECKOUT
    )
    said = "SIGTERM: what is done is kept; the same command continues\n"
    assert (done.returncode, done.stdout) == (75, said), done.stderr
    assert "Traceback" not in done.stderr or where.startswith("a finalizer")


def test_sigterm_is_the_programs_own_again_once_the_block_is_left() -> None:
    program = (
        "import os, signal\nfrom cortex.process import terminable\nwith terminable(): pass\nos.kill(os.getpid(), 15)"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False, cwd=CHECKOUT)
    assert done.returncode == -signal.SIGTERM
