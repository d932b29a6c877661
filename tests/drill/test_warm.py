import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.process import kill_group, running
from cortex.settings import CHECKOUT

MODULE = """
import os, sys, time
print("words", sys.argv[1:], os.environ["WORD"], os.getcwd(), flush=True)
if sys.argv[1] == "wait":
    open("pid", "w").write(str(os.getpid()))
    time.sleep(60)
if sys.argv[1] == "fail":
    raise ValueError("no")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def python(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A warm Python."""
    (tmp_path / "under_test.py").write_text(MODULE)
    folder = tmp_path_factory.mktemp("w")
    spaced = tmp_path / "a space"
    spaced.symlink_to(Path(sys.executable).parent.parent)  # an environment in a checkout whose path has one
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(tmp_path)]), "WORD": "server's"}
    command = [spaced / "bin" / Path(sys.executable).name, "-m", "cortex.drill.warm", folder, "json"]
    with running(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield folder / "python"


def call(python: Path, *words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(python), "-m", "under_test", *words],
        env={**os.environ, "WORD": "own"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_it_is_a_program_with_its_own_words_variables_folder_and_code(python: Path, tmp_path: Path) -> None:
    for code in (0, 75, 0):
        done = call(python, str(code), "b c", folder=tmp_path)
        assert done.returncode == code, done.stderr
        assert done.stdout == f"words ['{code}', 'b c'] own {tmp_path}\n"
    failed = call(python, "fail", folder=tmp_path)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "ValueError: no"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_its_group_reaches_it(number: signal.Signals, python: Path, tmp_path: Path) -> None:
    with running([python, "-m", "under_test", "wait"], env={**os.environ, "WORD": ""}, cwd=tmp_path) as process:
        pid = await_pid(tmp_path)
        os.killpg(process.pid, number)
        assert process.wait(timeout=10) == -number
        assert gone(pid)


def test_it_ends_with_whoever_asked(python: Path, tmp_path: Path) -> None:
    with running([python, "-m", "under_test", "wait"], env={**os.environ, "WORD": ""}, cwd=tmp_path) as process:
        pid = await_pid(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        assert gone(pid)
        kill_group(process)


def test_it_outlives_who_was_killed_in_the_middle_of_asking(python: Path, tmp_path: Path) -> None:
    for said in (b"", b"+", b'+{"program": '):
        with socket.socket(socket.AF_UNIX) as half:
            half.connect(str(python.with_name("socket")))
            half.sendall(said)
    assert call(python, "0", folder=tmp_path).returncode == 0


def test_in_a_session_of_its_own_it_ends_by_a_signal_as_well(python: Path, tmp_path: Path) -> None:
    """torchrun starts and ends the processes of a trainer so."""
    command, variables = [python, "-u", "-m", "under_test", "wait"], {**os.environ, "WORD": ""}
    with subprocess.Popen(command, env=variables, cwd=tmp_path, start_new_session=True) as process:
        pid = await_pid(tmp_path)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert gone(pid)


def await_pid(folder: Path) -> int:
    end = time.monotonic() + 20
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    return int((folder / "pid").read_text())
