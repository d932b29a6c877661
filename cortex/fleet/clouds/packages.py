"""SkyPilot's packages for a cloud: those that are missing on this machine, and the command that installs them."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

WITH_CLIENT_PACKAGES = ("aws", "kubernetes", "ssh")
"""Clouds whose packages `make setup` installs."""


def install_command(cloud: str) -> str:
    """The command that installs SkyPilot's packages for a cloud, which `make setup` leaves out."""
    version = importlib.metadata.version("skypilot")
    uv = Path(sys.executable).with_name("uv")
    command = str(uv) if uv.exists() else shutil.which("uv") or "uv"
    return (
        f'`{command} pip install --python {sys.executable} "skypilot[{cloud}]=={version}"`, then `.venv/bin/sky api '
        "stop`, so that SkyPilot's server here starts with them"
    )


def missing_packages(cloud: str) -> list[str]:
    """Packages of SkyPilot's extra for a cloud that are not installed here."""
    from packaging.requirements import Requirement

    missing = list[str]()
    for text in importlib.metadata.requires("skypilot") or []:
        needed = Requirement(text)
        wanted = needed.marker is not None and needed.marker.evaluate({"extra": cloud})
        if wanted and not (needed.marker and needed.marker.evaluate({"extra": ""})) and not _installed(needed.name):
            missing.append(needed.name)
    return missing


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
