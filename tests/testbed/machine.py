"""One machine: a sandbox with processes, files, a network and addresses of its own, reached over SSH like any other."""

import base64
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from tests.testbed import network

FAULT_TAG = "testbed-fault"
"""A task's label that asks for faulty machines."""

BOOT = Path(__file__).with_name("boot.sh")


@dataclass(frozen=True)
class Order:
    """A rented machine, as the cloud's API describes it."""

    id: str
    region: str
    zone: str
    type: str
    spot: bool
    private: str
    public: str | None
    launched: datetime
    """The time from which it costs."""
    user_data: str
    """In base64: a cloud-config that names the user and the keys it may log in with."""
    tags: Mapping[str, str]

    @property
    def fault(self) -> str:
        """The machine's fault: `mute` starts no SSH server, `unpulled` pulls no image; empty without that tag."""
        return self.tags.get(FAULT_TAG, "")

    @property
    def address(self) -> str:
        """The address that its requests come from."""
        return self.public or self.private

    def logins(self) -> dict[str, list[str]]:
        """The keys of each user."""
        config = yaml.safe_load(base64.b64decode(self.user_data)) or {}
        return {user["name"]: user.get("ssh_authorized_keys", []) for user in config.get("users", [])}


@dataclass(frozen=True)
class Machine:
    """A machine that runs."""

    order: Order
    process: "subprocess.Popen[bytes]"

    @classmethod
    def boot(
        cls, order: Order, folder: Path, base: Path, shared: Sequence[Path], variables: Mapping[str, str], log: Path
    ) -> "Machine":
        """Start a machine. Its files lie in `folder`, over `base`; it sees `shared`, read only, at the same paths."""
        for user, keys in order.logins().items():
            _authorize(folder / "upper", base, user, keys)
        network.connect(order.id, order.private, order.public)
        environment = {
            "PATH": os.environ["PATH"],
            "BASE": str(base),
            "FOLDER": str(folder),
            "NAME": order.id,
            "SHARED": "\n".join(map(str, shared)),
            "FAULT": order.fault,
            "VARIABLES": " ".join(shlex.quote(f"{name}={value}") for name, value in variables.items()),
        }
        command = ["nsenter", f"--net=/run/netns/{order.id}", "unshare", "--mount", "--pid", "--uts", "--ipc"]
        command += ["--fork", "--kill-child", "sh", str(BOOT)]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        return cls(order, process)

    def kill(self) -> None:
        """Pull the plug: every process of the machine ends at once."""
        network.disconnect(self.order.id, self.order.public)
        self.process.kill()
        self.process.wait()


def _authorize(upper: Path, base: Path, user: str, keys: Sequence[str]) -> None:
    home = base / "home" / user
    owner = home.stat()
    folder = upper / "home" / user / ".ssh"
    folder.mkdir(parents=True)
    (folder / "authorized_keys").write_text("\n".join(key.strip() for key in keys) + "\n")
    for path in (folder.parent, folder, folder / "authorized_keys"):
        os.chown(path, owner.st_uid, owner.st_gid)
    folder.parent.chmod(home.stat().st_mode & 0o777)
    folder.chmod(0o700)
