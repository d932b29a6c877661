"""Files in an image's layers, read from `docker save`."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from tests.containers.engine import Engine


@dataclass(frozen=True)
class Entry:
    """A file in a layer, whether or not a later layer hides it."""

    layer: int
    """0 is the base's first."""
    name: str
    """Its path, without a slash before it."""
    data: bytes


def entries(engine: Engine, image: str, aside: Path) -> Iterator[Entry]:
    """Every regular file of every layer, in order. The image is saved to the file `aside` meanwhile."""
    engine.said("save", "--output", aside, image)
    try:
        with tarfile.open(aside) as saved:
            [manifest] = json.load(_content(saved, "manifest.json"))
            for number, name in enumerate(manifest["Layers"]):
                with tarfile.open(fileobj=_content(saved, name)) as layer:
                    for member in layer:
                        if member.isfile():
                            yield Entry(number, member.name.removeprefix("./"), _read(layer, member))
    finally:
        aside.unlink()


def _content(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    return cast(IO[bytes], saved.extractfile(name))


def _read(layer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return cast(IO[bytes], layer.extractfile(member)).read()
