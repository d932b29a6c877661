"""Debian's packages for tests, brought into a folder: nothing is installed on this machine."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.errors import ConfigError

SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"

ATTEMPTS = 3
"""Tries of a download: a mirror that drops one of a hundred packages gives it when it is asked again."""


@dataclass(frozen=True)
class Debian:
    """Packages and systems from apt and debootstrap, kept in `folder`; their output goes to `log`, an open file."""

    folder: Path
    log: int

    def unpack(self, names: Sequence[str], target: Path, *, with_needed: bool = False) -> None:
        """Download packages and unpack them in `target`: alone, or with those that they need and this machine lacks.

        Raises:
            ConfigError: there is no apt-get here, or it cannot reach its archive; the log says why.
        """
        if not shutil.which("apt-get"):
            raise ConfigError(f"there is no apt-get here to bring {', '.join(names)}: install them")
        packages = self.folder / "packages"
        shutil.rmtree(packages, ignore_errors=True)
        lists = self.folder / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        packages.mkdir()
        apt = ["apt-get", "-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={self.folder}"]
        apt += ["-o", "APT::Sandbox::User=root", "-o", f"Acquire::Retries={ATTEMPTS}"]
        self.run([*apt, "update"])
        wanted = self._needed(apt, names) if with_needed else names
        self.run([*apt, "download", *wanted], folder=packages)
        for package in sorted(packages.glob("*.deb")):
            self.run(["dpkg-deb", "--extract", package, target])
        shutil.rmtree(packages)

    def bootstrap(self, target: Path, packages: str) -> None:
        """Make a root file system: the least of Debian, and `packages`, comma-separated. Needs root.

        Raises:
            ConfigError: it cannot be made; the log says why.
        """
        # In a mount namespace of its own, so that a kill leaves no mount behind.
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        program, variables = self._debootstrap()
        words = [*apart, program, "--variant=minbase", f"--include={packages}", SUITE, target, MIRROR]
        for left in reversed(range(ATTEMPTS)):
            try:
                return self.run(words, {**os.environ, **variables})
            except ConfigError:
                if not left:
                    raise  # what came before is in `target`, and taken from there each time
        return None

    def run(
        self, command: Sequence[str | Path], env: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """Run a program to its end.

        Raises:
            ConfigError: it failed; the log says why.
        """
        words = [str(word) for word in command]
        done = subprocess.run(
            words, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, check=False
        )
        if done.returncode:
            raise ConfigError(f"what the tests run on cannot be made: `{words[0]} ...` left with {done.returncode}")

    def _needed(self, apt: Sequence[str], names: Sequence[str]) -> list[str]:
        """The packages that apt-get would install for these."""
        words = [*apt, "install", "--simulate", "--yes", "--no-install-recommends", *names]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, check=False)
        found = [line.split()[1] for line in done.stdout.decode().splitlines() if line.startswith("Inst ")]
        if not found:
            raise ConfigError(f"apt-get finds no way to install {', '.join(names)} here: install them by hand")
        return found

    def _debootstrap(self) -> tuple[str, dict[str, str]]:
        """The program, and the further variables that it needs."""
        installed = shutil.which("debootstrap")
        if installed:
            return installed, {}
        tools = self.folder / "debootstrap"
        shutil.rmtree(tools, ignore_errors=True)
        self.unpack(["debootstrap"], tools)
        return str(tools / "usr" / "sbin" / "debootstrap"), {
            "DEBOOTSTRAP_DIR": str(tools / "usr" / "share" / "debootstrap")
        }
