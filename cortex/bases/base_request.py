"""Requests to the model hub through its own client, in a separate program that is killed if it hangs."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

from loguru import logger

from cortex.artifacts.folders import sync_tree
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.patience import Patience
from cortex.artifacts.verify import verify
from cortex.bases.base_client import SILENT, BaseRequest, command
from cortex.bases.hub import HubSilentError
from cortex.errors import ConfigError, DataError, StageError
from cortex.limits import MANIFEST_BYTES, read_file
from cortex.process import running

ASKING = Patience(deadline=900.0, first=2.0, longest=60.0)
"""Retries while the hub does not answer, until the stage ends: its machine is paid for meanwhile."""

STALL = 300.0
"""Seconds without a byte written after which a download counts as hung."""

_LOOK = 5.0
"""Seconds between checks of how much a download has written."""

_CLIENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_XET_HIGH_PERFORMANCE": "1",  # all cores and most of the bandwidth: nothing else runs yet
}


def read_manifest(base: str, revision: str | None, work: Path) -> Manifest:
    """The manifest of a copy of a hub's model at a commit, by default the main branch's newest.

    Raises:
        ConfigError: the hub refuses it, or the model cannot be loaded.
        DataError: the hub did not answer for as long as `ASKING` lasts.
    """
    path = work / "base-manifest.json"
    _request(BaseRequest(base=base, revision=revision, manifest=str(path)), work)
    manifest = Manifest.parse(read_file(path, MANIFEST_BYTES), str(path))
    path.unlink()
    return manifest


def download_files(base: str, pin: Manifest, folder: Path, work: Path) -> None:
    """Download a pinned model's files from the hub into a folder, and verify each. Right files there are kept.

    Raises:
        ConfigError: the hub refuses it, or the disk is full.
        DataError: the hub did not give the files for as long as `ASKING` lasts.
    """
    path = work / "base-manifest.json"
    path.write_bytes(pin.data)
    request = BaseRequest(base=base, revision=str(pin.meta["revision"]), manifest=str(path), folder=str(folder))
    _request(request, work, pin, folder)
    path.unlink()
    sync_tree(folder)


def _request(request: BaseRequest, work: Path, pin: Manifest | None = None, folder: Path | None = None) -> None:
    """Retry until the hub answers, and, for files, until they are right."""

    def attempt() -> None:
        _run_client(request, work, folder)
        if folder and pin:
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own metadata
            found = verify(folder, pin)
            for name in found.differing:
                (folder / name).unlink()
            if not found.ok:
                raise HubSilentError(f"the hub gives other bytes than it lists: {found}")

    try:
        ASKING.persist(attempt, HubSilentError, lambda error, count: True, _log_retry)
    except HubSilentError as error:
        raise DataError(
            f"model.base {request.base} cannot be had from the hub, asked for {ASKING.deadline:.0f} s: {error}; run "
            "the same command again once it answers"
        ) from error


def _run_client(request: BaseRequest, work: Path, folder: Path | None) -> None:
    home = work / "hub"  # the client's caches: on the run's own disk, and removed afterwards
    home.mkdir(parents=True, exist_ok=True)
    said = home / "said"
    try:
        with said.open("w", encoding="utf-8") as output:
            code = _wait_for_client(request, {**os.environ, **_CLIENT, "HF_HOME": str(home)}, output, folder)
        words = said.read_text(encoding="utf-8", errors="replace").strip()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    last = words.splitlines()[-1][:1000] if words else f"its client ended with {code}"
    if code == SILENT:
        raise HubSilentError(last)
    if code == ConfigError.exit_code:
        raise ConfigError(last)
    if code:
        raise StageError(f"asking the hub for {request.base} failed: {last}")


def _wait_for_client(request: BaseRequest, environment: dict[str, str], output: IO[str], folder: Path | None) -> int:
    written, since = -1, time.monotonic()
    with running(command(request), env=environment, stdout=output) as process:
        while True:
            try:
                return process.wait(timeout=_LOOK)
            except subprocess.TimeoutExpired:
                now = _bytes_below(folder) if folder else written
                if now != written:
                    written, since = now, time.monotonic()
                if time.monotonic() - since > STALL:
                    raise HubSilentError(f"no byte of {request.base} came for {STALL:.0f} s") from None


def _bytes_below(folder: Path) -> int:
    """Count the blocks on the disk: a file written at several offsets at once has its full size from the start."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks  # noqa: PTH116, PTH118
            except FileNotFoundError:
                continue  # renamed just now
    return total


def _log_retry(error: Exception, wait: float) -> None:
    logger.warning(f"{error} (again in {wait:.0f} s)")
