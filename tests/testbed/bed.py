"""The bed from outside: up, down, status, reclaim, and programs that run in it."""

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError, RefusedError, StageError, UsageError
from cortex.settings import CHECKOUT, Settings
from tests.testbed import skypilot
from tests.testbed.place import Place, apart
from tests.testbed.rootfs import lend_tools, rootfs

PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount"}
NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")
PATIENCE = 600
"""Seconds for a bed to come up; after that it has failed."""


@dataclass(frozen=True)
class Bed:
    """A cloud in a folder."""

    place: Place

    def up(self, say: Callable[[str], None] = print) -> None:
        """Raise the cloud, and start SkyPilot in it.

        Raises:
            ConfigError: this machine is not fit for it.
            RefusedError: it is up already.
            StageError: it did not come up; the logs say why.
        """
        check_machine()
        self.place.root.mkdir(parents=True, exist_ok=True)
        with self._locked() as lock:
            self.place.lock.write_text("")
            self._sweep()
            shutil.rmtree(self.place.logs, ignore_errors=True)
            self.place.logs.mkdir()
            say("preparing what machines are made of (minutes, the first time)")
            log = self.place.logs / "rootfs.log"
            self.place.cache.mkdir(exist_ok=True)
            skypilot.fetch_wheels(self.place, log)
            wheel = skypilot.built_wheel(self.place, log)
            base = rootfs(self.place.cache, wheel, log)
            for folder in (self.place.home, self.place.machines, self.place.temporary, self.place.orders):
                folder.mkdir(parents=True)
            process = self._start(base, wheel, lock)
            self.place.lock.write_text(f"{process.pid}\n")
        self._wait(process, say)

    def down(self) -> bool:
        """End everything, and remove all but the cache and the logs. False where nothing was up."""
        if not self.place.root.exists():
            return False
        process = self._process()
        if process is not None:
            # Killing this process ends every process that was started in the bed, and removes its mounts and addresses.
            os.kill(process, signal.SIGKILL)
        with self._locked(wait=True):
            self._sweep()
            self.place.lock.write_text("")
        return process is not None

    def status(self) -> dict[str, Any]:
        """State of the bed: the phase, and the machines."""
        if self._process() is None or not self.place.state.exists():
            return {"phase": "down", "machines": []}
        return json.loads(self.place.state.read_text())

    def reclaim(self, machine: str, notice: float = 0) -> None:
        """Have the cloud take a machine back after a notice of so many seconds; 0 gives no notice.

        Raises:
            UsageError: no such machine runs.
        """
        running = [entry["id"] for entry in self.status()["machines"]]
        if machine not in running:
            raise UsageError(f"no machine {machine!r} runs here: {', '.join(running) or 'none does'}")
        aside = self.place.root / secrets.token_hex(8)
        aside.write_text(json.dumps({"machine": machine, "notice": notice}))
        aside.rename(self.place.orders / f"{aside.name}.json")

    def drought(self, begin: bool) -> None:
        """Have the cloud sell no spot machine from now on, or sell them again."""
        if begin:
            self.place.drought.touch()
        else:
            self.place.drought.unlink(missing_ok=True)

    def command(self, words: Sequence[str | Path]) -> list[str]:
        """Command line that runs a program in the bed, to be started with `variables`.

        Raises:
            ConfigError: the bed is not up.
        """
        outer = self._process()
        children = _children(outer) if outer else []
        if not children:
            raise ConfigError("the test bed is not up: `make testbed`")
        return ["nsenter", f"--target={children[0]}", *NAMESPACES, f"--wd={Path.cwd()}", "--", *map(str, words)]

    def variables(self) -> dict[str, str]:
        """The variables of a program in the bed."""
        return skypilot.variables(self.place, self.place.cache / "tools")

    def _start(self, base: Path, wheel: Path, lock: int) -> "subprocess.Popen[bytes]":
        given = {
            "place": str(self.place.root),
            "base": str(base),
            "wheel": str(wheel),
            "tools": str(lend_tools(base, self.place.cache / "tools")),
            "shared": [str(path) for path in shared()],
        }
        # The shell is the first process of the namespace, and reaps processes that lost their parents.
        shell = ["bash", "-c", '"$@" & wait $!', "bed", sys.executable, "-m", "tests.testbed.inside", json.dumps(given)]
        with (self.place.logs / "bed.log").open("ab") as output:
            return subprocess.Popen(
                ["unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc", *shell],
                cwd=CHECKOUT,
                env=self.variables() | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[lock],
            )

    def _wait(self, process: "subprocess.Popen[bytes]", say: Callable[[str], None]) -> None:
        deadline, said = time.monotonic() + PATIENCE, ""
        while said != "up":
            if process.poll() is not None or time.monotonic() > deadline:
                self.down()
                raise StageError(f"the test bed did not come up: see {self.place.logs}")
            phase = self.status()["phase"]
            if phase not in (said, "down"):
                said = phase
                say(phase)
            time.sleep(0.2)

    def _process(self) -> int | None:
        """The outer process of a bed that is up."""
        try:
            number = int(self.place.lock.read_text())
        except (FileNotFoundError, ValueError):
            return None
        try:
            with self._locked():
                return None
        except RefusedError:
            return number

    @contextmanager
    def _locked(self, *, wait: bool = False) -> Generator[int]:
        """Hold the bed's lock. All processes of a bed inherit it, so it is free once the last of them has ended."""
        descriptor = os.open(self.place.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield descriptor
        except BlockingIOError as error:
            raise RefusedError(
                f"the test bed in {self.place.root} is up already: `make testbed-down` ends it"
            ) from error
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        for path in self.place.passing:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _children(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def shared() -> list[Path]:
    """Folders that machines see of this one, read only: the code, the environments of the images, and their Python."""
    settings = Settings()
    settings.environments.mkdir(parents=True, exist_ok=True)
    return apart([CHECKOUT, settings.environments.resolve(), Path(sys.base_prefix).resolve()])


def check_machine() -> None:
    """Check that a bed can be raised here.

    Raises:
        ConfigError: what is missing, in a sentence.
    """
    if os.geteuid() != 0:
        raise ConfigError("the test bed makes namespaces and mounts: run it as root")
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        raise ConfigError(f"the test bed needs {', '.join(missing)}: apt-get install {' '.join(missing)}")
    tried = subprocess.run(
        ["unshare", *NAMESPACES, "--fork", "mount", "-t", "tmpfs", "tmpfs", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        raise ConfigError(
            f"this machine allows no namespaces ({tried.stderr.strip()}): in a container, run it privileged"
        )
