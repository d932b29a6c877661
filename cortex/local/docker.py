"""The Docker Engine that the `docker` command reaches, and the kit's images in it."""

import shutil
import subprocess
import sys
from pathlib import Path

from cortex.errors import ConfigError, StageError
from cortex.settings import CHECKOUT, Settings

WITHOUT = "or leave CONTAINERS away"


INSTALL = "docker is not installed", "install Docker Engine"
"""The fault, and its fix."""


def docker_command() -> str:
    """The `docker` command.

    Raises:
        ConfigError: it is not installed.
    """
    found = shutil.which("docker")
    if found is None:
        raise ConfigError(f"{': '.join(INSTALL)}, {WITHOUT}")
    return found


def engine_fault() -> tuple[str, str] | None:
    """The reason why no engine answers, and the fix; None where one does."""
    if shutil.which("docker") is None:
        return INSTALL
    asked = _run_docker("version", "--format", "{{.Server.Version}}")
    return (f"no Docker Engine answers ({_shorten(asked.stderr)})", "start it") if asked.returncode else None


def check_engine() -> None:
    """Return if an engine answers.

    Raises:
        ConfigError: no engine answers.
    """
    fault = engine_fault()
    if fault:
        raise ConfigError(f"{': '.join(fault)}, {WITHOUT}")


def cpu_image(name: str, settings: Settings, log: Path) -> str:
    """Build an image's CPU variant with this checkout's code, mostly from the engine's cache, and return its id.

    Raises:
        StageError: it cannot be built; the log says why.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        command = [sys.executable, "-m", "scripts.images", "build", name, "--variant=cpu", "--lean"]
        command += [f"--base-image={settings.base_image}"] if settings.base_image else []
        command += [f"--options={settings.build_options}"]
        done = subprocess.run(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        last = [line for line in log.read_text(errors="replace", encoding="utf-8").splitlines() if line.strip()][-1:]
        error = StageError(f"the image {name} cannot be built: {' '.join(last)[-300:]} ({log})")
        error.exit_code = done.returncode
        raise error
    # The id, not the tag: another checkout may give the tag to an image of its own at any time.
    asked = _run_docker("image", "inspect", "--format", "{{.Id}}", f"cortex-{name}:cpu")
    if asked.returncode:
        raise StageError(f"the image {name} was built, and is not there: {_shorten(asked.stderr)}")
    return asked.stdout.strip()


def _run_docker(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [docker_command(), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


def _shorten(text: str) -> str:
    return " ".join(text.split())[-200:]
