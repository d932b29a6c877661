"""The bill of materials: the inventory's findings, as valid CycloneDX, the same bytes for the same image."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.images.build import Built
from scripts.images.sbom import INVENTORY, bill

IMAGE = Built("data", "cpu", f"sha256:{'c' * 64}", 1)
HELD = {
    "python": [
        {"name": "numpy", "version": "2.4.0", "licence": "BSD-3-Clause AND MIT"},
        {"name": "Odd_Name", "version": "1", "licence": "do as you like"},
        {"name": "bare", "version": "1", "licence": ""},
    ],
    "debian": [{"package": "tini", "version": "0.19.0-1", "architecture": "amd64", "maintainer": "somebody"}],
    "system": {"ID": "debian", "VERSION_ID": "12"},
}


def test_the_bill_is_valid_names_all_and_does_not_change() -> None:
    text = bill(IMAGE, HELD)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    purls = {component["purl"] for component in document["components"]}
    assert purls == {
        "pkg:pypi/numpy@2.4.0",
        "pkg:pypi/odd-name@1",
        "pkg:pypi/bare@1",
        "pkg:deb/debian/tini@0.19.0-1?arch=amd64&distro=debian-12",
    }
    licences = {component["name"]: component.get("licenses") for component in document["components"]}
    assert licences["numpy"] == [{"expression": "BSD-3-Clause AND MIT"}]
    assert licences["Odd_Name"] == [{"license": {"name": "do as you like"}}]
    assert document["metadata"]["component"]["version"] == IMAGE.identity
    assert bill(IMAGE, HELD) == text


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="expected: no Debian packages where there is no dpkg")
def test_the_inventory_finds_what_its_python_has_and_what_dpkg_has() -> None:
    done = subprocess.run([sys.executable, "-"], input=INVENTORY.read_bytes(), capture_output=True, check=True)
    held = json.loads(done.stdout)
    assert {"name": "pytest", "version": version("pytest"), "licence": "MIT"} in held["python"]
    assert "dpkg" in {package["package"] for package in held["debian"]}
    assert held["system"]["ID"]
    assert held["python"] == sorted(held["python"], key=lambda package: (package["name"].lower(), package["version"]))
