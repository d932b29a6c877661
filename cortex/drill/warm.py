"""A Python with a trainer's libraries already imported: `python -m cortex.drill.warm FOLDER MODULE...` in an image.

It puts a `python` into FOLDER that takes the real one's arguments. Each program started by it is a fork of this
process, with its own memory, files, variables and process group; only the imported modules are shared. This process
itself computes nothing, so no library has started threads, which a fork would lose.
"""

import ctypes
import importlib
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cortex.checkpoints.trainer_command import AXOLOTL
from cortex.drill import breaks, client

_PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the kernel kills a program whose parent is gone."""


@dataclass
class _Program:
    """One fork, and the connection that asked for it."""

    pid: int
    ended: int
    """A descriptor that becomes readable when it ends."""
    asker: socket.socket
    over: bool = False


def serve(folder: Path) -> NoReturn:
    """Run requested programs until this process is ended."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as ready:
        listener.bind(str(folder / "socket"))
        listener.listen()
        ready.register(listener, selectors.EVENT_READ)
        _put_python(folder)
        print("ready", flush=True)
        while True:
            # Handle ends before new requests, which may depend on them.
            for key, _ in sorted(ready.select(), key=lambda found: found[0].fileobj is listener):
                if key.fileobj is listener:
                    if program := _start(listener):
                        ready.register(program.ended, selectors.EVENT_READ, program)
                        ready.register(program.asker, selectors.EVENT_READ, program)
                elif key.fileobj == key.data.ended:
                    ready.unregister(key.data.ended)
                    _tell_end(key.data)
                else:
                    # The client has its answer, or is gone, and the program with it.
                    ready.unregister(key.data.asker)
                    key.data.asker.close()
                    if not key.data.over:
                        os.kill(key.data.pid, signal.SIGKILL)


def _put_python(folder: Path) -> None:
    # A shell script, since the kernel splits an interpreter's name at a space, and cuts it after 127 characters.
    command = shlex.join([sys.executable, "-IS", client.__file__])
    program = folder / "python"
    program.write_bytes(os.fsencode(f'#!/bin/sh\nexec {command} "$0" "$@"\n'))
    program.chmod(0o755)


def _start(listener: socket.socket) -> _Program | None:
    """Fork for one request; None where the client was killed in the middle of it."""
    asker, _ = listener.accept()
    _, outputs, _, _ = socket.recv_fds(asker, 1, 3)
    with asker.makefile("rb") as lines:
        line = lines.readline()
    pid = os.fork() if line.endswith(b"\n") else None
    if pid == 0:
        _become(json.loads(line), outputs)
    for descriptor in outputs:
        os.close(descriptor)
    if pid is None:
        asker.close()
        return None
    return _Program(pid, os.pidfd_open(pid), asker)


def _tell_end(program: _Program) -> None:
    _, status = os.waitpid(program.pid, 0)
    os.close(program.ended)
    program.over = True
    with suppress(OSError):
        program.asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _become(request: dict[str, Any], outputs: list[int]) -> NoReturn:
    """Run the requested program in this fork, to its end."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number, descriptor in enumerate(outputs):
            os.dup2(descriptor, number)
        os.closerange(3, 1024)
        with suppress(OSError):  # the client may be gone, or be in a session of its own
            os.setpgid(0, request["group"])
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, 1, encoding="utf-8", closefd=False) for number, mode in enumerate("rww")
        )
        breaks.install()
        code = _run(Path(request["program"]), request["arguments"])
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(program: Path, arguments: list[str]) -> int:
    sys.executable = str(program)
    try:
        words = arguments[arguments.index("-m") + 1 :]  # options before it, such as torchrun's `-u`, hold here anyway
        if words[0] == AXOLOTL:
            import multiprocess.context

            # Saving the tokenized set would start one more Python without the imports.
            multiprocess.context._concrete_contexts["spawn"] = multiprocess.get_context("fork")
        sys.argv = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    return 0


def main() -> None:
    folder, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    serve(Path(folder))


if __name__ == "__main__":
    main()
