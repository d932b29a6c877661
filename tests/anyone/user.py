"""A user with no rights and an awkward machine, and a checkout that is theirs."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from cortex.settings import CHECKOUT
from tests.anyone.pythons import Python

USER = 54321
"""A number that no account has: such a user has no name either, as in many containers."""

REGISTRY = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Prefixes of the variables by which this machine reaches the package index."""


@dataclass(frozen=True)
class PlainUser:
    """Programs of a user who cannot write to HOME, whose files are private, and whose locale knows ASCII alone."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further variables of the user's programs."""

    @property
    def checkout(self) -> Path:
        return self.folder / "a kit"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def own(self) -> Path:
        """A folder in which the user may write."""
        return self.folder / "files"

    def run(
        self,
        *words: str | Path,
        given: bytes = b"",
        folder: Path | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program, by default in the checkout; `given` is its standard input."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=folder or self.checkout,
            env={
                **{"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(self.home)},
                **self.variables,
                **variables,
            },
            input=given,
            capture_output=True,
            user=USER,
            group=USER,
            extra_groups=[],
            umask=0o077,
            check=False,
            timeout=300,
        )
        said, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return subprocess.CompletedProcess(done.args, done.returncode, said, errors)

    def can_read(self, python: Python) -> bool:
        """True where the user can run this Python in its place."""
        return self.run("/bin/sh", "-c", '"$1" -c "import ensurepip"', "sh", python.executable).returncode == 0


@contextmanager
def plain_user() -> Iterator[PlainUser]:
    """Such a user, with a checkout of this one's tracked files. Needs root."""
    with tempfile.TemporaryDirectory(prefix="plain üser ") as folder:
        user = PlainUser(Path(folder))
        user.folder.chmod(0o755)
        user.home.mkdir(mode=0o555)
        for path in (user.checkout, user.own):
            path.mkdir()
            os.chown(path, USER, USER)
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True).stdout
        packed = ["tar", "--create", "--null", "--files-from=-"]
        archive = subprocess.run(packed, cwd=CHECKOUT, input=listed, capture_output=True, check=True).stdout
        assert user.run("tar", "--extract", given=archive).returncode == 0
        yield user


def registry_variables() -> dict[str, str]:
    """This machine's variables that installers need."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(REGISTRY)}
