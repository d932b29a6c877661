"""Bytes of files on the hub, as any reader gets them."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cortex.bases.hub import HubSilentError
from cortex.errors import VerificationError
from cortex.fleet.publish.hub_client import explaining_hub
from cortex.fleet.publish.hub_tree import LocalFile

if TYPE_CHECKING:
    from httpx import Response
    from huggingface_hub import HfApi


def read_small(api: "HfApi", repository: str, revision: str, name: str, limit: int) -> bytes:
    """A small file's bytes.

    Raises:
        VerificationError: it has more than `limit` bytes.
        ConfigError, RefusedError, DataError, HubSilentError: as `explaining_hub`.
    """
    data = bytearray()
    with _opened(api, repository, revision, name) as response:
        for piece in response.iter_bytes():
            data += piece
            if len(data) > limit:
                raise VerificationError(f"{repository}/{name} has more than the {limit:,} bytes that it may have")
    return bytes(data)


def require_same(api: "HfApi", repository: str, revision: str, file: LocalFile) -> None:
    """Read a file back, and return if its bytes are those that were sent.

    Raises:
        VerificationError: they differ.
        ConfigError, RefusedError, DataError, HubSilentError: as `explaining_hub`.
    """
    total, size = hashlib.sha256(), 0
    with _opened(api, repository, revision, file.name) as response:
        for piece in response.iter_bytes():
            total.update(piece)
            size += len(piece)
            if size > file.size:
                break
    if size < file.size:
        raise HubSilentError(f"{repository}/{file.name}: the hub gave {size:,} of {file.size:,} bytes")
    if size > file.size or total.hexdigest() != file.sha256:
        raise VerificationError(
            f"{repository}/{file.name}: the hub gives other bytes than were sent: delete the repository there, and "
            "publish again"
        )


@contextmanager
def _opened(api: "HfApi", repository: str, revision: str, name: str) -> Generator["Response"]:
    from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status

    url = hf_hub_url(repository, name, revision=revision, endpoint=api.endpoint)
    headers = {"Authorization": f"Bearer {api.token}", "Accept-Encoding": "identity"}
    with (
        explaining_hub(f"{repository}/{name}"),
        # The client leaves the token out where the hub redirects to another host, as it does for large files.
        get_session().stream("GET", url, headers=headers, follow_redirects=True) as response,
    ):
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        yield response
