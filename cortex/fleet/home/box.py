"""A live instance, reached over SSH by its name in `~/.ssh/config`, where SkyPilot enters its clusters."""

import logging
import re
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from fabric import Config, Connection
from paramiko import AutoAddPolicy, RejectPolicy, SSHConfig
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, SSHException

from cortex.errors import ConfigError, DataError, RefusedError, UsageError
from cortex.limits import ANSWER_BYTES, KIB, TooLargeError

CONNECT_SECONDS, ANSWER_SECONDS = 20, 120

GREETING_BYTES = 64 * KIB
"""Most bytes that login scripts may print before an answer."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*")
_USED = ("hostname", "user", "port", "identityfile", "proxycommand")
_NEW_KEYS_TAKEN = ("no", "off", "false", "accept-new")
_MARK = b"-- cortex --\n"
"""Line printed before an answer: whatever precedes it was printed by login scripts."""


class LostConnectionError(DataError):
    """The instance does not answer, or the connection was lost: trying again may help."""


class Box:
    """Commands on one instance, over one connection that is opened when it is first needed.

    The connection follows what `ssh -G NAME` prints: OpenSSH reads its whole configuration (`Include`, `Match`), which
    Fabric's own reader does not, and rsync, which calls ssh, then connects in the same way.

    Raises:
        UsageError: the name cannot be a host's.
        ConfigError: OpenSSH is not installed, or its configuration cannot be read.
    """

    def __init__(self, name: str, ssh_config: Path | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no host's name: give one of ~/.ssh/config, such as `sky status` prints")
        self.name = name
        self.ssh = ("ssh", *(("-F", str(ssh_config)) if ssh_config else ()))
        """The ssh command that connects with the same configuration."""
        self._connection = self._prepare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, script: str, limit: int = ANSWER_BYTES) -> bytes:
        """Run a shell script there, in a login shell, and return what it prints; its exit status does not matter.

        Raises:
            TooLargeError: it prints more than `limit` bytes.
            ConfigError: the host is unknown, or accepts none of this machine's keys.
            RefusedError: the host's key has changed.
            LostConnectionError: the host does not answer.
        """
        marked = f"printf '%s\\n' {shlex.quote(_MARK.decode().strip())}\n{script}"
        try:
            said = self._answer(f"sh -lc {shlex.quote(marked)} 2>/dev/null", limit + GREETING_BYTES)
        except BadHostKeyException as error:
            port = self._connection.port
            known_as = error.hostname if port == 22 else f"[{error.hostname}]:{port}"
            raise RefusedError(
                f"{self.name} shows another key than it used to: another machine, or somebody in between; if you know "
                f"that it was made anew: ssh-keygen -R {shlex.quote(known_as)}"
            ) from error
        except AuthenticationException as error:
            raise ConfigError(
                f"{self.name} does not let {self._connection.user} in ({_line(error)}): `ssh {self.name}` must "
                "work with no password; name the key (IdentityFile) in ~/.ssh/config, or `ssh-add` it"
            ) from error
        except socket.gaierror as error:
            raise ConfigError(
                f"no host {self.name!r} ({error.strerror}): give a name of ~/.ssh/config, such as `sky status` prints"
            ) from error
        except SSHException as error:
            if "known_hosts" in str(error):
                raise ConfigError(
                    f"{self.name} is not known yet: log in once with `ssh {self.name}`, compare its key, and accept it"
                ) from error
            raise self._lost(error) from error
        except (OSError, EOFError) as error:
            raise self._lost(error) from error
        answer = said.partition(_MARK)[2]
        if len(answer) > limit or len(said) > limit + GREETING_BYTES:
            raise TooLargeError(f"{self.name} answers with more than the {limit:,} bytes that it may: is it yours?")
        return answer

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a small file; empty where it cannot be read.

        Raises:
            TooLargeError: it is larger than `limit` bytes.
            CortexError: as `ask`.
        """
        return self.ask(f"head -c {limit + 1} -- {shlex.quote(path)} 2>/dev/null", limit)

    def _answer(self, command: str, limit: int) -> bytes:
        """A command's output, cut off soon after `limit` bytes; Fabric's own `run` would keep any amount in memory."""
        end = time.monotonic() + ANSWER_SECONDS
        self._connection.open()
        transport = self._connection.transport
        assert transport
        said = bytearray()
        with transport.open_session(timeout=CONNECT_SECONDS) as channel:
            channel.exec_command(command)
            while len(said) <= limit:
                channel.settimeout(max(0.1, end - time.monotonic()))
                piece = channel.recv(64 * KIB)
                if not piece:
                    break
                if time.monotonic() > end:
                    raise TimeoutError(f"still answering after {ANSWER_SECONDS} s")
                said += piece
        return bytes(said)

    def _prepare(self) -> Connection:
        said = self._configuration()
        used = "".join(f"{key} {value}\n" for key, value in said if key in _USED)
        facts = dict(said)
        if "proxyjump" in facts:
            before, _, last = facts["proxyjump"].rpartition(",")
            jump = [*self.ssh, *(("-J", before) if before else ()), "-W", "[%h]:%p", last]
            used += f"proxycommand {shlex.join(jump)}\n"
        chosen = SSHConfig.from_text(used).lookup(self.name)
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it raises what it logs
        connection = Connection(
            chosen["hostname"],
            user=chosen["user"],
            port=int(chosen["port"]),
            gateway=chosen.get("proxycommand"),
            connect_timeout=CONNECT_SECONDS,
            connect_kwargs={
                "key_filename": chosen.get("identityfile", []),
                "look_for_keys": False,  # `ssh -G` names the default keys, too
                "allow_agent": facts.get("identitiesonly") != "yes",
            },
            config=Config(ssh_config=SSHConfig()),
        )
        assert connection.client
        for known in f"{facts.get('globalknownhostsfile', '')} {facts.get('userknownhostsfile', '')}".split():
            if Path(known).expanduser().is_file():
                connection.client.load_system_host_keys(str(Path(known).expanduser()))
        new_taken = facts.get("stricthostkeychecking") in _NEW_KEYS_TAKEN
        connection.client.set_missing_host_key_policy(AutoAddPolicy() if new_taken else RejectPolicy())
        return connection

    def _configuration(self) -> list[tuple[str, str]]:
        if shutil.which("ssh") is None:
            raise ConfigError(
                "ssh is not installed here: install OpenSSH's client (Debian: apt install openssh-client)"
            )
        asked = subprocess.run(
            [*self.ssh, "-G", self.name], capture_output=True, text=True, check=False, encoding="utf-8"
        )
        if asked.returncode:
            raise ConfigError(f"ssh cannot read its configuration: {' '.join(asked.stderr.split())[:300]}")
        pairs = (line.partition(" ") for line in asked.stdout.splitlines())
        return [(key, value) for key, _, value in pairs]

    def _lost(self, error: BaseException) -> LostConnectionError:
        return LostConnectionError(
            f"{self.name} does not answer ({_line(error)}): see with `sky status` whether it is up, then run this again"
        )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
