"""The bed's own process: raises the cloud inside the namespaces that it was started in, then keeps it."""

import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import internet, metadata, network, skypilot
from tests.testbed.cloud import ACCOUNT, Cloud
from tests.testbed.keeper import Keeper
from tests.testbed.place import Place, apart

EVERY = 1.0
"""Seconds between looks at the rented machines."""


def main() -> None:
    given = json.loads(sys.argv[1])
    place, base, tools = Place(Path(given["place"])), Path(given["base"]), Path(given["tools"])
    environment = skypilot.variables(place, tools)
    shared = [Path(path) for path in given["shared"]]
    _hide_the_host(place, apart([place.root, place.cache.resolve(), Path(sys.prefix), *shared]))
    network.raise_network()
    internet.serve(place.authority)
    service = metadata.Metadata()
    metadata.serve(service)
    cloud = Cloud(place.logs / "cloud.log", place.drought)
    # A login on a machine finds the emulated cloud, as a program on a real machine finds the real one.
    keeper = Keeper(place, cloud, service, base, shared, ACCOUNT)
    keeper.tell("starting the cloud")
    images = cloud.furnish()
    skypilot.furnish(place, images, Path(given["wheel"]))
    keeper.tell("starting SkyPilot")
    skypilot.start(environment, place.logs / "bed.log")
    keeper.tell("up")
    while True:
        keeper.step()
        time.sleep(EVERY)


def _hide_the_host(place: Place, seen: Sequence[Path]) -> None:
    """Mount the bed's own folders over the host's, in this namespace alone: some programs write to fixed paths."""
    for path in (path for path in seen if path.is_relative_to("/tmp")):
        inner = place.temporary / path.relative_to("/tmp")
        inner.mkdir(parents=True, exist_ok=True)
        _mount("--bind", path, inner)
    place.temporary.chmod(0o1777)
    _mount("--rbind", place.temporary, "/tmp")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for name in (".ssh", ".aws", ".sky"):
        (place.home / name).mkdir()
        if (home / name).is_dir():
            _mount("--bind", place.home / name, home / name)


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
