"""Offers of the bed's cloud, as SkyPilot's price lists.

Types and zones are named as the real cloud names them. The prices are invented: round, and different in each region,
so that a choice between them can be seen.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ZONES = {"us-east-1": ("use1-az1",), "us-west-2": ("usw2-az1", "usw2-az2")}
IMAGE_TAGS = ("skypilot:custom-gpu-ubuntu-cuda13", "skypilot:custom-gpu-ubuntu", "skypilot:custom-cpu-ubuntu")
"""Machine images that SkyPilot asks for where a task names none."""


@dataclass(frozen=True)
class Kind:
    """A type of machine."""

    name: str
    cpus: int
    memory: int
    """In GiB."""
    price: float
    """Dollars an hour in the first region, invented. The others cost a little less."""
    gpu: str = ""
    gpus: int = 0
    gpu_memory: int = 0
    """Of one GPU, in MiB."""


KINDS = (
    Kind("m6i.xlarge", 4, 16, 0.20),
    Kind("m6i.2xlarge", 8, 32, 0.40),
    Kind("g6.xlarge", 4, 16, 1.00, "L4", 1, 23034),
    Kind("p4de.24xlarge", 96, 1152, 40.00, "A100-80GB", 8, 81920),
    Kind("p5.48xlarge", 192, 2048, 60.00, "H100", 8, 81920),
)
SPOT = 0.4
"""Spot's share of the on-demand price, invented."""


def price(kind: str, region: str, spot: bool) -> float:
    """Dollars an hour."""
    full = next(entry.price for entry in KINDS if entry.name == kind)
    return round(full * (1 - 0.1 * list(ZONES).index(region)) * (SPOT if spot else 1), 4)


def write_catalogs(folder: Path, images: Mapping[str, str]) -> None:
    """Write the lists that SkyPilot reads; `images` are the machine images of each region."""
    _write(folder / "aws" / "vms.csv", (_offer(kind, region, zone) for kind in KINDS for region, zone in _zones()))
    _write(
        folder / "aws" / "images.csv",
        (
            {
                "Tag": tag,
                "Region": region,
                "OS": "ubuntu",
                "OSVersion": "22.04",
                "ImageId": image,
                "CreationDate": "20250101",
                "BaseContainerImage": "",
            }
            for tag in IMAGE_TAGS
            for region, image in images.items()
        ),
    )
    _write(
        folder / "aws" / "instance_quota_mapping.csv",
        (
            {
                "InstanceType": kind.name,
                "OnDemandInstanceCode": "L-417A185B",
                "SpotInstanceCode": "L-C4BD4855",
                "Region": region,
            }
            for kind in KINDS
            for region in ZONES
        ),
    )
    _write(
        folder / "common" / "accelerators.csv",
        ({"AcceleratorName": kind.gpu, "Clouds": "['AWS']"} for kind in KINDS if kind.gpu),
    )


def _zones() -> list[tuple[str, str]]:
    return [(region, zone) for region, zones in ZONES.items() for zone in zones]


def _offer(kind: Kind, region: str, zone: str) -> dict[str, Any]:
    gpu = {
        "Name": kind.gpu,
        "Manufacturer": "NVIDIA",
        "Count": kind.gpus,
        "MemoryInfo": {"SizeInMiB": kind.gpu_memory},
    }
    info = {"Gpus": [gpu], "TotalGpuMemoryInMiB": kind.gpus * kind.gpu_memory}
    return {
        "InstanceType": kind.name,
        "AcceleratorName": kind.gpu,
        "AcceleratorCount": float(kind.gpus) if kind.gpu else "",
        "vCPUs": float(kind.cpus),
        "MemoryGiB": float(kind.memory),
        "GpuInfo": json.dumps(info).replace('"', "'") if kind.gpu else "",
        "Price": price(kind.name, region, spot=False),
        "SpotPrice": price(kind.name, region, spot=True),
        "Region": region,
        "AvailabilityZone": zone,
        "Arch": "x86_64",
    }


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
