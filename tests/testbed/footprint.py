"""Traces that a bed could leave on its host: mounts, namespaces, addresses, routes, processes, files of programs."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

MARKS = ("sky", "ray", "jobs_ha", "pool_ha", "moto")
"""Prefixes of the temporary files of SkyPilot, Ray and moto."""

HOMES = (".sky", ".aws", ".ssh")


@dataclass(frozen=True)
class Footprint:
    """State of the host, as far as a bed could change it."""

    mounts: frozenset[str]
    network: frozenset[str]
    temporary: frozenset[str]
    homes: frozenset[tuple[str, int]]

    @classmethod
    def take(cls) -> "Footprint":
        network = [_said("ip", "-oneline", *words) for words in (["address"], ["route"], ["netns"])]
        return cls(
            mounts=frozenset(_mounts()),
            network=frozenset(_lasting(line) for text in network for line in text.splitlines()),
            temporary=frozenset(path.name for path in Path("/tmp").iterdir() if path.name.startswith(MARKS)),
            homes=frozenset(_files()),
        )


def processes(place: Path) -> list[str]:
    """Command lines of the processes that name a folder."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace(chr(0), " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(place) in words:
            found.append(words)
    return found


def _mounts() -> list[str]:
    """Mounts over the folders that a bed hides, and a bed's own mounts; other mounts come and go meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    hidden = ["/tmp", "/run", *(str(Path.home() / name) for name in HOMES)]
    return [line for line in lines if line.split()[4] in hidden or "/testbed" in line]


def _files() -> list[tuple[str, int]]:
    paths = [path for name in HOMES for path in (Path.home() / name).rglob("*")]
    return [(str(path), path.stat().st_mtime_ns) for path in paths if path.is_file()]


def _lasting(line: str) -> str:
    """An address's line, without the remaining seconds of its lease."""
    return line.split(" valid_lft", maxsplit=1)[0]


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
