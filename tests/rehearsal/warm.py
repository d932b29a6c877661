"""Trainers that start warm: their libraries are imported once, and every trainer is a fork of that process.

Importing them costs a trainer most of its start, too much for a test that starts a hundred. `python -m
tests.rehearsal.warm SOCKET MODULE...`, in a training environment, imports the modules and then forks for each request.
A client, which imports next to nothing, stands in for the environment's programs: it passes on its words, variables,
folder and open files, and the fork runs the module or script that was asked for, as `__main__`, in the client's process
group. When the client dies, so does the fork; it ends with the fork's exit code.
"""

import atexit
import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAMS = ("python", "axolotl")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

# What every process of a trainer would otherwise spend seconds on is not imported here.
_CLIENT = """\
#!{interpreter} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
asked = dict(program=os.path.basename(sys.argv[0]), words=sys.argv[1:], variables=dict(os.environ), folder=os.getcwd(),
             group=os.getpgrp())
data = json.dumps(asked).encode()
socket.send_fds(server, [len(data).to_bytes(4, "big")], [0, 1, 2])
server.sendall(data)
code = server.recv(1)
os._exit(code[0] if code else 137)
"""


@contextmanager
def warm_programs(
    python: Path, modules: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Generator[Path]:
    """Warm stand-ins of an environment's programs; yields the `python` among them, whose neighbours are the others.

    `environment` is what trainers are started with: what libraries read of it on import is fixed by it here.
    """
    place, log = folder / "socket", folder / "warm.log"
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        path = programs / name
        path.write_text(_CLIENT.format(interpreter=sys.executable, socket=str(place)))
        path.chmod(0o755)
    with (
        log.open("w") as output,
        subprocess.Popen(
            [python, "-m", "tests.rehearsal.warm", place, *modules], env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            end = time.monotonic() + 300
            while not place.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, "the libraries are not imported after minutes"
                time.sleep(0.1)
            yield programs / "python"
        finally:
            process.kill()


def main() -> None:
    place, *modules = sys.argv[1:]
    client: list[socket.socket] = []
    ends: list[int] = []
    # The first registered is the last to run: what libraries do at their end is done before the client hears of it.
    atexit.register(lambda: client and ends and client[0].send(bytes([ends[0]])))
    for module in modules:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        aside = f"{place}.new"
        listening.bind(aside)
        listening.listen()
        Path(aside).rename(place)
        client.append(_next(listening))
    try:
        _run(client[0])
    except SystemExit as left:
        ends.append(left.code if isinstance(left.code, int) else int(left.code is not None))
        raise
    except BaseException:
        ends.append(1)
        raise
    ends.append(0)


def _next(listening: socket.socket) -> socket.socket:
    """Fork for each client; returns in the forks only."""
    parent = os.getpid()
    while True:
        client, _ = listening.accept()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(137)
            return client
        client.close()


def _run(client: socket.socket) -> None:
    """Become what the client asks for."""
    head, files, _, _ = socket.recv_fds(client, 4, 3)
    asked: dict[str, Any] = json.loads(_exactly(client, int.from_bytes(head, "big")))
    with suppress(PermissionError):  # in a session of its own, as torchrun's are, a client cannot be joined
        os.setpgid(0, asked["group"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["variables"])
    os.chdir(asked["folder"])
    threading.Thread(target=_die_with, args=(client,), daemon=True).start()
    words: list[str] = asked["words"]
    if words[:1] == ["-u"]:  # torchrun asks for it
        del words[0]
    if words[:1] == ["-m"]:
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        script = Path(sys.executable).with_name(asked["program"]) if asked["program"] != "python" else words.pop(0)
        sys.argv = [str(script), *words]
        runpy.run_path(str(script), run_name="__main__")


def _exactly(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = client.recv(length - len(data))
        assert piece, "the client left in the middle of its request"
        data += piece
    return data


def _die_with(client: socket.socket) -> None:
    if not client.recv(1):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
