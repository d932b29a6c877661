"""OpenAI's SDK for requests about batches at one provider, with limits of size: whole replies, no redirects.

The SDK builds objects from any reply without a check, and reads bodies without end. Its HTTP client here bounds them,
and refuses those that are nothing of the protocol. As in `bounded_http`, the key goes to the provider's own address
alone, and a proxy of the environment is used, but not for this machine's addresses.
"""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import openai

from cortex.teaching.bounded_http import CONNECT_SECONDS, REPLY_BYTES, proxy_for
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion, read_reply

FILE_BYTES = 1024**3
"""Maximum bytes of a file of answers."""


class OddReplyError(openai.OpenAIError):
    """A reply that cannot be used; `completion` says why. The SDK passes errors of this base on unchanged."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion.reason)
        self.completion = completion


def open_sdk(endpoint: Endpoint) -> openai.AsyncOpenAI:
    """The SDK for an endpoint, without retries of its own; to be closed."""
    http = _BoundedClient(
        follow_redirects=False,
        verify=ssl.create_default_context(),  # of the same authorities as single requests
        proxy=proxy_for(endpoint.url),
        trust_env=False,
        timeout=openai.Timeout(None, connect=CONNECT_SECONDS),
    )
    key = endpoint.api_key or "none"
    azure = endpoint.azure_version is not None
    # Headers that are given or left out here are not taken from the environment, which may be another account's.
    headers: dict[str, Any] = {
        "Authorization": openai.Omit() if azure else f"Bearer {key}",
        "OpenAI-Organization": openai.Omit(),
        "OpenAI-Project": openai.Omit(),
    }
    given: dict[str, Any] = {"api_key": key, "max_retries": 0, "default_headers": headers, "http_client": http}
    if not azure:
        return openai.AsyncOpenAI(base_url=endpoint.url, **given)
    resource = endpoint.url.partition("/deployments/")[0]  # files and batches belong to no deployment
    return openai.AsyncAzureOpenAI(base_url=resource, api_version=endpoint.azure_version, **given)


class _BoundedClient(openai.DefaultAsyncHttpxClient):
    """An HTTP client that gives whole replies, of the shape that the protocol has."""

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        del stream  # the whole reply is read here
        is_file = request.url.path.endswith("/content")
        response = await super().send(request, stream=True, **options)
        try:
            body = await _read(response, FILE_BYTES if is_file else REPLY_BYTES)
        finally:
            await response.aclose()
        if response.is_success and not (_has_lines(body) if is_file else _has_shape(body)):
            raise OddReplyError(read_reply(response.status_code, body, response.headers))
        # The body is decompressed already, and must not be decoded by a charset that the reply names.
        dropped = ("content-encoding", "content-length", "content-type", "transfer-encoding")
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in dropped]
        return type(response)(response.status_code, headers=headers, content=body, request=request)


async def _read(response: Any, limit: int) -> bytes:
    pieces: list[bytes] = []
    left = limit
    async for piece in response.aiter_bytes():
        left -= len(piece)
        if left < 0:
            raise OddReplyError(Completion("odd", reason=f"a reply of more than {limit:,} bytes"))
        pieces.append(piece)
    return b"".join(pieces)


def read_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line; other lines are left out."""
    return (found for line in data.splitlines() if (found := _parse(line)) is not None)


def _has_lines(data: bytes) -> bool:
    """True of an empty file, too: a batch may have no errors."""
    return not data.strip() or any("custom_id" in line for line in read_lines(data))


def _has_shape(data: bytes) -> bool:
    """True of a file, a batch, and a list of batches."""
    found = _parse(data)
    return found is not None and ("id" in found or "data" in found)


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
