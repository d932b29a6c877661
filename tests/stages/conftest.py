"""A real bucket behind a proxy, and a machine to log in to, for the stages' tests, too."""

from tests.artifacts.conftest import client_environment, proxy, server
from tests.fleet.conftest import ssh_programs, ssh_server
from tests.runs.conftest import aws

__all__ = ["aws", "client_environment", "proxy", "server", "ssh_programs", "ssh_server"]
