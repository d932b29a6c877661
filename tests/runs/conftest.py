"""The clouds' metadata services, a real bucket, and the log, as fixtures."""

from collections.abc import Generator

import pytest
from loguru import logger

from tests.artifacts.conftest import client_environment, direct, server
from tests.runs.metadata_server import AwsServer, AzureServer, GcpServer

__all__ = ["client_environment", "direct", "server"]


@pytest.fixture
def aws() -> Generator[AwsServer]:
    with AwsServer() as server:
        yield server


@pytest.fixture
def gcp() -> Generator[GcpServer]:
    with GcpServer() as server:
        yield server


@pytest.fixture
def azure() -> Generator[AzureServer]:
    with AzureServer() as server:
        yield server


@pytest.fixture
def log() -> Generator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}", level="INFO")
    yield lines
    logger.remove(sink)
