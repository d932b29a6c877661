"""A real bucket, and the log, as fixtures."""

from tests.runs.conftest import client_environment, direct, log, server

__all__ = ["client_environment", "direct", "log", "server"]
