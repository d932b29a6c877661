"""A stage under way, over a folder or over a real S3 server."""

from tests.checkpoints.conftest import client_environment, kept, new_context, proxy, server

__all__ = ["client_environment", "kept", "new_context", "proxy", "server"]
