"""Pulumi's command line: the one on the PATH, or one of the locked SDK's version, which is downloaded once."""

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from pulumi.automation import PulumiCommand

from cortex.errors import ConfigError

BY_HAND = "https://www.pulumi.com/docs/install says how to install it"


def find_pulumi(home: Path) -> str:
    """The program's path. A downloaded one is below `home`, for the kit alone.

    Raises:
        ConfigError: it is not on this machine, and cannot be downloaded from get.pulumi.com.
    """
    there = shutil.which("pulumi")
    if there is not None:
        return there
    root = home / "pulumi" / version("pulumi")
    program = root / "bin" / "pulumi"
    if not program.exists():
        print(f"bringing Pulumi {version('pulumi')} from get.pulumi.com into {root}")
    try:
        # Installs unless a program is there that prints its version, which an interrupted installation does not.
        return PulumiCommand.install(root=str(root)).command
    except subprocess.CalledProcessError as error:
        said = error.output.decode(errors="replace") if error.output else str(error)
        fault = " ".join(said.split())[-300:]
    except (OSError, RuntimeError) as error:
        fault = str(error)
    raise ConfigError(f"pulumi is not on this machine, and cannot be brought from get.pulumi.com ({fault}): {BY_HAND}")
