"""One engine for all tests here, the images that they need, and runs whose stages go through containers."""

import json
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.local.docker import cpu_image
from cortex.settings import Settings
from tests.containers.base import base_image
from tests.containers.engine import Engine, answering, check_machine, default_place, engine
from tests.rehearsal.conftest import environments, write_profile

__all__ = ["environments", "write_profile"]

BUILD_OPTIONS = "--network host"
"""An engine started by the tests has no bridge: its builds reach the package index over the host's network."""


@dataclass
class Images:
    """The CPU variants, each built on its first use."""

    engine: Engine
    settings: Settings
    logs: Path
    built: dict[str, str] = field(default_factory=dict[str, str])
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def __getitem__(self, name: str) -> str:
        """An image's id."""
        if name not in self.built:
            self.build(name)
            print(f"{name}: {self.inspect(name)['Size'] / 1e6:.0f} MB, built in {self.seconds[name]:.0f} s")
        return self.built[name]

    def build(self, name: str) -> str:
        """Build an image, even if it was built before, and return its id."""
        started = time.monotonic()
        self.built[name] = cpu_image(name, self.settings, self.log(name))
        self.seconds[name] = time.monotonic() - started
        return self.built[name]

    def log(self, name: str) -> Path:
        """Log of the last build of an image."""
        return self.logs / f"{name}.log"

    def inspect(self, name: str) -> dict[str, Any]:
        return json.loads(self.engine.said("image", "inspect", self[name]))[0]


@pytest.fixture(scope="session")
def docker() -> Generator[Engine]:
    """An engine, which this process and its children reach."""
    if answering() is None:
        try:
            check_machine()
        except ConfigError as error:
            pytest.skip(f"expected: {error}")
    before = dict(os.environ)
    try:
        with engine() as made:
            os.environ.update(made.variables)
            yield made
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def images(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Images:
    base = None
    if docker.place is not None or os.geteuid() == 0:
        base = base_image(docker, default_place())
    settings = Settings(base_image=base, build_options=BUILD_OPTIONS)
    os.environ["CORTEX_BUILD_OPTIONS"] = BUILD_OPTIONS
    return Images(docker, settings, tmp_path_factory.mktemp("images"))
