"""Inventory of an image's packages, printed as JSON. It runs in the image, and needs only the image's Python."""

import json
import subprocess
from importlib.metadata import distributions
from pathlib import Path

FIELDS = ("Package", "Version", "Architecture", "Maintainer")
LICENCES = ("License-Expression", "License")


def python_packages() -> list[dict[str, str]]:
    """Every Python distribution in the image, with the licence that it states."""
    found = []
    for distribution in distributions():
        about = distribution.metadata
        licence = next((about[field] for field in LICENCES if field in about), "")
        found.append(
            {"name": about["Name"], "version": about["Version"], "licence": licence.strip().partition("\n")[0]}
        )
    return sorted(found, key=lambda package: (package["name"].lower(), package["version"]))


def debian_packages() -> list[dict[str, str]]:
    """Every Debian package in the image, by dpkg."""
    form = "\t".join(f"${{{field}}}" for field in FIELDS) + "\n"
    lines = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}"], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return [dict(zip(map(str.lower, FIELDS), line.split("\t"), strict=True)) for line in lines.stdout.splitlines()]


def system() -> dict[str, str]:
    """The operating system, from /etc/os-release."""
    with Path("/etc/os-release").open(encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").partition("=") for line in lines if "=" in line)
        return {key: value.strip('"') for key, _, value in pairs}


if __name__ == "__main__":
    print(json.dumps({"python": python_packages(), "debian": debian_packages(), "system": system()}))
