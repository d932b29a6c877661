"""A real OpenSSH server on loopback, with keys, a home and a client's configuration of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.artifacts.faulty import free_port

PACKAGES = ("openssh-server", "rsync", "libwrap0", "libpopt0", "libxxhash0")
LIBRARIES = "usr/lib/x86_64-linux-gnu"

ISOLATED = """
mount --bind "$1" /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd && shift && exec "$@"
"""


@dataclass(frozen=True)
class Programs:
    """Paths of sshd and rsync, and the libraries that they need."""

    sshd: str
    rsync: str
    libraries: str

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(self.rsync).parent}:{os.environ['PATH']}"
        return os.environ | {"PATH": path} | ({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})


def find_programs(folder: Path) -> Programs | None:
    """The installed programs; else Debian's, unpacked into a folder, where packages can be downloaded; else None."""
    # As root, the server gets a mount namespace of its own: see `SshServer.start`.
    if os.getuid() == 0:
        unshare = shutil.which("unshare")
        if not unshare or subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
            return None
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    rsync = shutil.which("rsync")
    if sshd and rsync:
        return Programs(sshd, rsync, "")
    if os.getuid() or not shutil.which("apt-get"):
        return None
    fetched = subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, capture_output=True, check=False)
    if fetched.returncode:
        return None
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    root = folder / "root"
    return Programs(f"{root}/usr/sbin/sshd", f"{root}/usr/bin/rsync", f"{root / LIBRARIES}")


@dataclass
class SshServer:
    """The host `box` of `client_config`. `path`, if given, is the PATH of programs there."""

    folder: Path
    programs: Programs
    port: int = field(default_factory=free_port)
    path: str = ""
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        for name in ("host", "other-host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name]
            subprocess.run(command, check=True)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        self.configure()

    @property
    def home(self) -> Path:
        """The home of the user who logs in."""
        return self.folder / "home"

    @property
    def client_config(self) -> Path:
        return self.folder / "config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def configure(self, *, key: str = "user", checking: str = "accept-new", port: int | None = None) -> None:
        """Write the client's configuration in a file that the main one includes, as SkyPilot does."""
        (self.folder / "included").write_text(
            f"Host box\n HostName 127.0.0.1\n Port {port or self.port}\n User {pwd.getpwuid(os.getuid()).pw_name}\n"
            f" IdentityFile {self.folder / key}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {self.known_hosts}\n StrictHostKeyChecking {checking}\n"
        )
        self.client_config.write_text(f"Include {self.folder / 'included'}\n")

    def start(self, host_key: str = "host") -> None:
        path = self.path or f"{Path(self.programs.rsync).parent}:/usr/bin:/bin"
        # A login shell takes PATH from here instead of this machine's /etc/profile.
        (self.home / ".profile").write_text(f"PATH={path}\n")
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder / host_key}\n"
            f"AuthorizedKeysFile {self.folder / 'authorized'}\nStrictModes no\nUsePAM no\nPidFile none\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
            f"SetEnv HOME={self.home} PATH={path} LD_LIBRARY_PATH={self.programs.libraries}\n"
        )
        command = [self.programs.sshd, "-D", "-e", "-f", config]
        if os.getuid() == 0:
            # As root, sshd wants a user and a folder that its package would have made: here they exist for it alone.
            users = self.folder / "passwd"
            others = [
                line
                for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
                if not line.startswith("sshd:")
            ]
            users.write_text("\n".join([*others, "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin", ""]))
            command = ["unshare", "--mount", "sh", "-c", ISOLATED, "sh", users, *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.programs.environment, stderr=log, start_new_session=True)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def kill(self) -> None:
        """End the server and all its sessions."""
        if self.process:
            children = (
                Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8").split()
            )
            self.process.kill()
            for session in children:
                with suppress(ProcessLookupError):
                    os.kill(int(session), signal.SIGKILL)
            self.process.wait()
            self.process = None
