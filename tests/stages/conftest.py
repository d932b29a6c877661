"""A real bucket, and a proxy in front of it, for the stages' tests, too."""

from tests.artifacts.conftest import client_environment, proxy, server

__all__ = ["client_environment", "proxy", "server"]
