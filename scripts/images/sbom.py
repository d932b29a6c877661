"""Software bill of materials (SBOM) of an image: CycloneDX 1.6, with the Python and Debian packages found in it."""

# The library types its classes as unions, since Python has no intersections; a union's constructor has no parameters.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from cortex.artifacts.folders import write_whole
from cortex.settings import CHECKOUT
from scripts.images.build import Built
from scripts.images.docker import docker

INVENTORY = Path(__file__).with_name("inventory.py")
PYTHON = "/opt/venv/bin/python"
NO_NETWORK = ("--rm", "--interactive", "--network", "none", "--read-only")


def sbom_path(name: str, variant: str) -> Path:
    """Path of an image's SBOM, beside the file of digests."""
    return CHECKOUT / "images" / "sbom" / f"{name}-{variant}.cdx.json"


def write_sbom(image: Built, path: Path) -> Path:
    """Write the SBOM of an image. The same image gives the same bytes.

    Raises:
        StageError: the image does not run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    write_whole(aside, bill(image, inventory(image)).encode())
    aside.replace(path)
    return path


def inventory(image: Built) -> dict[str, Any]:
    """The output of `inventory.py`, run in the image without a network."""
    told = docker("run", *NO_NETWORK, "--entrypoint", PYTHON, image.tag, "-", given=INVENTORY.read_bytes())
    return json.loads(told)


def bill(image: Built, held: dict[str, Any]) -> str:
    """The SBOM as JSON."""
    about = Component(
        name=f"cortex-{image.name}",
        bom_ref="image",
        version=image.identity,
        type=ComponentType.CONTAINER,
        properties=[Property(name="cortex:variant", value=image.variant)],
    )
    document = Bom(
        components=[*_python(held["python"]), *_debian(held["debian"], held["system"])],
        metadata=BomMetaData(component=about, timestamp=datetime.fromtimestamp(0, UTC)),
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, image.identity),
    )
    document.register_dependency(about, document.components)
    return JsonV1Dot6(document).output_as_string(indent=1) + "\n"


def _python(packages: Iterable[dict[str, str]]) -> Iterable[Component]:
    for package in packages:
        name, version = package["name"], package["version"]
        yield Component(
            name=name,
            version=version,
            bom_ref=f"pypi:{name}@{version}",
            purl=PackageURL("pypi", name=name.lower().replace("_", "-"), version=version),
            licenses=_licences(package["licence"]),
        )


def _debian(packages: Iterable[dict[str, str]], system: dict[str, str]) -> Iterable[Component]:
    distribution = f"{system['ID']}-{system['VERSION_ID']}"
    for package in packages:
        name, version = package["package"], package["version"]
        qualifiers = {"arch": package["architecture"], "distro": distribution}
        yield Component(
            name=name,
            version=version,
            bom_ref=f"deb:{name}@{version}:{package['architecture']}",
            purl=PackageURL("deb", system["ID"], name, version, qualifiers),
        )


def _licences(stated: str) -> list[Any]:
    """The licence that a package states: an SPDX id or expression where it is one, else its own words."""
    return [LicenseFactory().make_from_string(stated)] if stated else []
