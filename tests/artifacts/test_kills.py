"""SIGKILL at random points of a publication into a bucket, and of a download out of it."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from cortex.artifacts.artifact import find, publish, require
from cortex.artifacts.receiving import receive
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import PIECE
from cortex.artifacts.verify import verify
from tests.artifacts.killable import download, upload
from tests.artifacts.strategies import write

pytestmark = pytest.mark.integration

KILLS = 50
FILES = {f"part-{i}": Random(i).randbytes(PIECE + 1 if i == 0 else 50_000) for i in range(7)}

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.artifacts.killable"])


def killed_after(seconds: float, target: Callable[..., None], *args: object) -> bool:
    """Kill a process after so many seconds; True where it was still at work."""
    process = processes.Process(target=target, args=args)
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode == -9


def timed(target: Callable[..., None], *args: object) -> float:
    """Seconds that the work takes undisturbed, in a process of its own."""
    processes.Process(target=time.sleep, args=(0,)).start()  # so that the server of forks is up
    time.sleep(1)
    start = time.monotonic()
    process = processes.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - start


def test_uploads_killed_anywhere_leave_nothing_wrong(
    direct: RemoteStore, client_environment: dict[str, str], tmp_path: Path
) -> None:
    folder = write(tmp_path / "made", FILES)
    whole = timed(upload, client_environment, folder)
    direct.delete("whole")
    rng, killed, complete = Random(3), 0, 0
    while killed < KILLS:
        killed += killed_after(rng.uniform(0, whole), upload, client_environment, folder)
        if find(direct, "whole"):
            receive(direct, "whole", require(direct, "whole"), tmp_path / f"proof-{complete}")
            assert verify(tmp_path / f"proof-{complete}").ok
            direct.delete("whole")
            complete += 1
    publish(folder, direct, "whole", kind="model")
    assert find(direct, "whole")


def test_downloads_killed_anywhere_continue_to_a_right_copy(
    direct: RemoteStore, client_environment: dict[str, str], tmp_path: Path
) -> None:
    publish(write(tmp_path / "made", FILES), direct, "whole", kind="model")
    whole = timed(download, client_environment, tmp_path / "first")
    rng, killed, rounds = Random(4), 0, 0
    while killed < KILLS:
        target = tmp_path / f"home-{rounds}"
        killed += killed_after(rng.uniform(0, whole / 2), download, client_environment, target)
        if target.exists():
            assert verify(target).ok
            rounds += 1
    receive(direct, "whole", require(direct, "whole"), tmp_path / "last")
    assert verify(tmp_path / "last").ok
