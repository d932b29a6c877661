"""A warm `python`: it has `cortex.drill.warm` run its command line, and ends with that program's exit code.

Its first argument is the path under which it was called, beside the server's socket.
Signals to its process group reach the program; when it is killed itself, so is the program.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    if os.getsid(0) != os.getpid():  # into a session of its own no program can follow: there it ends with this one
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the program has them as well, and decides
    here = os.path.abspath(sys.argv[1])  # noqa: PTH100 - pathlib takes as long to import as all the rest
    request = {"program": here, "arguments": sys.argv[2:], "folder": os.getcwd(), "group": os.getpgrp()}  # noqa: PTH109
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.path.join(os.path.dirname(here), "socket"))  # noqa: PTH118, PTH120
        socket.send_fds(server, [b"+"], [0, 1, 2])
        server.sendall(json.dumps({**request, "environment": dict(os.environ)}).encode() + b"\n")
        code = int(server.makefile().readline() or 1)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
