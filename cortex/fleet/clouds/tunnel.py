"""Tunnel to SkyPilot's server in a stack's network: a port of this machine, forwarded by AWS's Session Manager.

The server accepts no connections from outside. `aws ssm start-session` opens a session with this user's credentials.
The session outlives the program that opened it, so that others can use it; AWS ends it after 20 minutes without
traffic. A lost session ends no run, since the server runs them.
"""

import fcntl
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from cortex.errors import ConfigError
from cortex.fleet.clouds import aws_api
from cortex.settings import Settings
from cortex.text import harmless
from cortex.variables.surroundings import LOOPBACK

SKYPILOT_PORT = 46580
"""Port on which SkyPilot listens on its server."""

OPENING = 30.0
"""Most seconds until a session is open; usually it takes 2 to 5."""

ANSWER = 5.0
"""Timeout in seconds of the server's health check."""

PLUGIN = "session-manager-plugin"
NEEDED = {
    "aws": "run `make setup`, which installs it, and call `cortex` as `make` does",
    PLUGIN: "docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html "
    "has a package for each system",
}
"""The programs that open a session, each with the way to get it."""

_EXPIRED = (
    "ExpiredToken",
    "RequestExpired",
    "Token has expired",
    "Unable to locate credentials",
    "InvalidClientTokenId",
)
_STATES = {
    "stopped": "start it: `aws ec2 start-instances --region {region} --instance-ids {instance}`",
    "stopping": "start it once it has stopped: `aws ec2 start-instances --region {region} --instance-ids {instance}`",
    "pending": "it is starting: try again in a minute",
    "running": "it is up, and not yet known to Session Manager: try again in a minute, and if that does not help, "
    "`aws ec2 reboot-instances --region {region} --instance-ids {instance}`",
}
_GONE = (
    "make another with `make infra-up RENEW=1`; what it had launched goes on with `make resume RUN=<id>`, and "
    "`make sweep` finds machines that it left behind"
)


def find_tunnel(settings: Settings) -> "Tunnel | None":
    """The tunnel to the server that `.env` names; None where it names none, or the user has configured another.

    Raises:
        ConfigError: `.env` names a server, but SkyPilot's configuration does not have its port.
    """
    from sky.server import common

    if settings.server is None:
        return None
    url = urlsplit(common.get_server_url())
    if common.is_api_server_local():
        raise ConfigError(
            f"CORTEX_SERVER names {settings.server}, and SkyPilot would start a server on this machine, since "
            "api_server.endpoint is not in .sky.yaml: `make infra-up` writes it there; or unset CORTEX_SERVER"
        )
    if url.hostname not in LOOPBACK or url.port is None:
        return None
    return Tunnel(settings.server, settings.server_region, url.port, settings.home.absolute() / "tunnels")


@dataclass(frozen=True)
class Tunnel:
    """A port of this machine that is forwarded to a server."""

    instance: str
    region: str | None
    port: int
    folder: Path
    """Folder of the record of the open session, its lock and its log."""

    def open(self) -> bool:
        """Return once the server answers at the port; False where it did already.

        Raises:
            ConfigError: a program is missing, the machine is not up, the credentials do not suffice, another program
                has the port, or the server does not answer.
        """
        with self._alone():
            opened = self._opened()
            if opened and opened[1] != self.instance:
                raise ConfigError(
                    f"port {self.port} of this machine leads to another stack's server, {opened[1]}: `cortex server "
                    "disconnect` there, or give one of the stacks another `server.port` and `make infra-up`"
                )
            if self._answers():
                return False
            if opened:
                # The session no longer works, for example after this machine slept.
                _end(opened[0])
            self._require_free()
            self._require_programs()
            self._start()
            return True

    def close(self) -> bool:
        """End the session that was opened here; False where there is none."""
        with self._alone():
            opened = self._opened()
            if opened and opened[1] != self.instance:
                return False
            if opened:
                _end(opened[0])
            self._record.unlink(missing_ok=True)
            return opened is not None

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.port}.json"

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Hold the lock that lets only one program at a time open or close the session."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{self.port}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _opened(self) -> tuple[psutil.Process, str] | None:
        """The session that was opened here, if it is still open, and the machine that it leads to."""
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            process = psutil.Process(record["process"])
            # Process numbers are reused, so the creation time tells the session from another program.
            same = process.create_time() == record["since"] and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.Error):
            return None
        return (process, str(record["instance"])) if same else None

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/api/health"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(url, timeout=ANSWER) as answer:
                return "status" in json.load(answer)
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def _require_free(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise ConfigError(
                    f"port {self.port} of this machine, which is to lead to SkyPilot's server, is another program's "
                    f"({error.strerror}): end that, or give the stack another `server.port` and `make infra-up`"
                ) from error

    def _require_programs(self) -> None:
        for program, fix in NEEDED.items():
            if shutil.which(program) is None:
                raise ConfigError(f"SkyPilot's server cannot be reached without {program}, which is not on PATH: {fix}")

    def _start(self) -> None:
        log = self.folder / f"{self.port}.log"
        words = ["aws", "ssm", "start-session", "--target", self.instance]
        words += ["--document-name", "AWS-StartPortForwardingSession"]
        words += ["--parameters", f"portNumber={SKYPILOT_PORT},localPortNumber={self.port}"]
        words += ["--region", self.region] if self.region else []
        with log.open("wb") as output:
            # In its own process session, so that neither Ctrl-C nor a closed terminal ends it.
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        started = psutil.Process(process.pid)
        record = {"process": process.pid, "since": started.create_time(), "instance": self.instance}
        self._record.write_text(json.dumps(record), encoding="utf-8")
        deadline = time.monotonic() + OPENING
        while not self._answers():
            if process.poll() is not None:
                raise ConfigError(self._refusal(log.read_text(encoding="utf-8", errors="replace")))
            if time.monotonic() > deadline:
                _end(started)
                raise ConfigError(
                    f"machine {self.instance} is reached, and SkyPilot's server there has not answered for "
                    f"{OPENING:.0f} s: for some minutes after `make infra-up` it is being installed; later, "
                    f"`aws ssm start-session --target {self.instance}` opens a shell there, in which "
                    "`journalctl -u cortex-skypilot` and /var/log/cloud-init-output.log say more"
                )
            time.sleep(0.2)
        _LEFT.append(process)

    def _refusal(self, said: str) -> str:
        """The reason why a session was not opened, and the fix."""
        words = harmless(" ".join(said.split()), limit=300) or "it says nothing"
        if any(sign in said for sign in _EXPIRED):
            return (
                f"the credentials that reach SkyPilot's server do not hold ({words}): renew them with `aws sso login` "
                "or `aws configure`; runs go on meanwhile"
            )
        if "AccessDenied" in said:
            return (
                f"these credentials may not open a session to SkyPilot's server ({words}): `make infra-policy` writes "
                "the policy that lets them"
            )
        state = self._state()
        if state in ("terminated", "shutting-down", "gone"):
            return f"SkyPilot's server {self.instance} is {state}: {_GONE}"
        if state in _STATES:
            return f"SkyPilot's server {self.instance} is {state}: " + _STATES[state].format(
                region=self.region, instance=self.instance
            )
        return f"no session to SkyPilot's server {self.instance} comes up: {words}"

    def _state(self) -> str | None:
        """EC2's state of the machine, `gone` where it does not exist; None where EC2 cannot be asked."""
        try:
            found = aws_api.client("ec2", self.region).describe_instances(InstanceIds=[self.instance])
        except aws_api.error_types() as error:
            return "gone" if aws_api.error_code(error) == "InvalidInstanceID.NotFound" else None
        machines = [machine for group in found["Reservations"] for machine in group["Instances"]]
        return machines[0]["State"]["Name"] if machines else "gone"


_LEFT: list["subprocess.Popen[bytes]"] = []
"""Sessions that outlive this program, kept here because Python warns of each running process that it forgets."""


def _end(process: psutil.Process) -> None:
    """End a session and the plugin that it started, and return once both are gone."""
    try:
        everyone = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in everyone:
        with suppress(psutil.NoSuchProcess):
            each.terminate()
    _, alive = psutil.wait_procs(everyone, timeout=5)
    for each in alive:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(alive, timeout=5)
