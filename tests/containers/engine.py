"""A real Docker Engine for tests: the one that answers here, or one from Debian's packages, gone with the tests."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cortex.errors import ConfigError
from cortex.process import running
from cortex.settings import Settings
from tests.debian import Debian

PACKAGES = ("docker.io", "containerd", "runc", "tini", "libdevmapper1.02.1", "libseccomp2")
"""The engine, the programs it starts, libraries that a small system lacks, and the client, with its own builder."""

PROGRAMS = {"unshare": "util-linux", "mount": "mount", "apt-get": "apt (and Debian)", "dpkg-deb": "dpkg"}
NAMESPACES = ("--mount", "--propagation=slave", "--pid", "--fork", "--kill-child", "--mount-proc")
PATIENCE = 60
"""Seconds for an engine to answer; after that it has failed."""

START = """
set -eu
names=$(readlink -f /etc/resolv.conf); text=$(cat "$names")
mount -t tmpfs engine /run
[ -e "$names" ] || { mkdir -p "$(dirname "$names")"; printf '%s\n' "$text" > "$names"; }
export LD_LIBRARY_PATH="$2"
exec tini-static -- dockerd --config-file "$1"
"""
"""It runs in namespaces of its own: nobody else sees its mounts, and all its processes end with the first one."""


@dataclass(frozen=True)
class Engine:
    """An engine that answers, and the client to ask it with."""

    client: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Environment variables by which a program finds client and engine."""
    place: Path | None = None
    """The folder of an engine started here; None for the machine's own engine."""

    def docker(self, *words: str | Path, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.client, *map(str, words)],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def said(self, *words: str | Path, timeout: float = 600) -> str:
        """The client's output, without the line's end; it has to succeed."""
        done = self.docker(*words, timeout=timeout)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()


def default_place() -> Path:
    """Folder of an engine started here: packages for the next one, and images until it ends."""
    return Settings().home.absolute() / "engine"


@contextmanager
def engine() -> Generator[Engine]:
    """The machine's own engine, or one started here for as long as the block lasts.

    Raises:
        ConfigError: there is none, and none can be started here.
    """
    if found := answering():
        yield found
        return
    check_machine()
    with raised(default_place()) as made:
        yield made


def answering() -> Engine | None:
    """The machine's own engine, if one answers."""
    client = shutil.which("docker")
    if client and not Engine(client).docker("version", "--format", "{{.Server.Version}}", timeout=20).returncode:
        return Engine(client)
    return None


def check_machine() -> None:
    """Check that an engine can be started on this machine.

    Raises:
        ConfigError: it cannot, and why.
    """
    if os.geteuid() != 0:
        raise ConfigError("no Docker Engine answers, and bringing one up needs root: start one, or run this as root")
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if missing:
        raise ConfigError(f"no Docker Engine answers, and bringing one up needs: {', '.join(missing)}")
    if subprocess.run(["unshare", *NAMESPACES, "true"], capture_output=True, check=False).returncode:
        raise ConfigError("no Docker Engine answers, and bringing one up needs namespaces, which are not let here")


@contextmanager
def raised(place: Path) -> Generator[Engine]:
    """An engine started here, in a folder; when the block is left, only its packages and its log stay.

    Raises:
        ConfigError: it does not come up; the log says why.
    """
    place.mkdir(parents=True, exist_ok=True)
    log = place / "engine.log"
    with (place / "lock").open("w") as guard, log.open("wb") as output:
        fcntl.flock(guard, fcntl.LOCK_EX)
        programs = _programs(place, output.fileno())
        _sweep(place)
        with tempfile.TemporaryDirectory(prefix="cortex-engine-") as reach:
            socket = Path(reach, "engine.sock")  # not in our folder, whose path may be too long for a socket's
            variables = {
                "PATH": f"{programs / 'usr/sbin'}{os.pathsep}{programs / 'usr/bin'}{os.pathsep}{os.environ['PATH']}",
                "DOCKER_HOST": f"unix://{socket}",
                "DOCKER_CONFIG": reach,
                "DOCKER_BUILDKIT": "1",
            }
            libraries = os.pathsep.join(map(str, programs.glob("**/lib/x86_64-linux-gnu")))
            start = ["unshare", *NAMESPACES, "sh", "-c", START, "engine", _configuration(place, socket), libraries]
            made = Engine(str(programs / "usr/bin/docker"), variables, place)
            try:
                with running(
                    start, env={**os.environ, **variables}, stdout=output.fileno(), stderr=subprocess.STDOUT
                ) as it:
                    _wait(made, it, log)
                    yield made
            finally:
                _sweep(place)


def _programs(place: Path, log: int) -> Path:
    """Folder of the unpacked packages, downloaded on first use; aside, so that a half-made one is never used."""
    target = place / f"programs-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"
    if not target.exists():
        making = place / "programs-making"
        shutil.rmtree(making, ignore_errors=True)
        Debian(place, log).unpack(PACKAGES, making)
        making.rename(target)
    return target


def _configuration(place: Path, socket: Path) -> Path:
    """Configuration without a bridge: containers have the host's network or none, and no firewall rules are made."""
    inside = Path("/run/engine")
    path = place / "daemon.json"
    values = {
        "hosts": [f"unix://{socket}"],
        "data-root": str(place / "data"),
        "exec-root": str(inside),
        "pidfile": str(inside / "dockerd.pid"),
        "deprecated-key-path": str(inside / "key.json"),
        "cgroup-parent": f"/{_cgroup(place)}",
        "storage-driver": "overlay2",
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "shutdown-timeout": 5,
    }
    path.write_text(json.dumps(values, indent=1))
    return path


def _wait(made: Engine, process: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while made.docker("version", timeout=PATIENCE).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            last = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][
                -1:
            ]
            raise ConfigError(f"a Docker Engine does not come up here: {' '.join(last)} ({log})")
        time.sleep(0.2)


def _cgroup(place: Path) -> str:
    return f"cortex-{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"


def _sweep(place: Path) -> None:
    """Remove the remains of an engine that ended, or was killed: images, and its empty control groups."""
    shutil.rmtree(place / "data", ignore_errors=True)
    for top in (*Path("/sys/fs/cgroup").glob(f"*/{_cgroup(place)}"), Path("/sys/fs/cgroup", _cgroup(place))):
        for folder in sorted((path for path in [top, *top.rglob("*/")] if path.is_dir()), reverse=True):
            folder.rmdir()
