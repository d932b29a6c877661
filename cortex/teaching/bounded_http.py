"""HTTP requests to one service, with limits of time and size: whole replies, no redirects, no cookies.

The key goes to the service's own address alone. A proxy of the environment is used, but not for this machine's
addresses.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from cortex.teaching.completion import Completion
from cortex.text import harmless
from cortex.urls import is_loopback

REPLY_BYTES = 4 * 1024 * 1024
"""Maximum bytes of a reply. 100,000 tokens of reasoning, given twice and escaped, are about 1.5 MB."""

CONNECT_SECONDS = 30.0
"""Seconds for a connection; a provider under load takes one late."""
KEPT_SECONDS = 3.0
"""Seconds that an idle connection is kept: fewer than the five after which vLLM closes it."""
HEADER_BYTES = 64 * 1024
"""Maximum bytes of a header: policies that pages of companies' proxies send are longer than the library's 8,190."""


@dataclass(frozen=True)
class HttpReply:
    """A whole reply; `headers` finds names in any case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class NoReplyError(Exception):
    """No whole reply has come; `completion` says why, and whether to ask again."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion.reason)
        self.completion = completion


class BoundedHttp:
    """A client of one service, to be entered before it is used."""

    def __init__(self, url: str, headers: Mapping[str, str], seconds: float, query: Mapping[str, str]) -> None:
        """`seconds` limits each whole reply; `query` goes with every request."""
        self._url, self._headers, self._seconds, self._query = url.rstrip("/"), headers, seconds, query
        self._proxy = proxy_for(url)
        self._addresses: dict[str, URL] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, method: str, path: str, **body: Any) -> HttpReply:
        """Send one request and read the whole reply, of at most `REPLY_BYTES`. `body` is what aiohttp takes.

        Raises:
            NoReplyError: none has come, or one that is too long.
        """
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session.request(
                    method, self._address(path), proxy=self._proxy, allow_redirects=False, **body
                ) as response,
            ):
                return HttpReply(response.status, await _read(response, REPLY_BYTES), response.headers)
        except TimeoutError:
            raise NoReplyError(Completion("failing", reason=f"no whole reply within {self._seconds:g} s")) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise NoReplyError(Completion("denied", reason=_describe(error))) from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoReplyError(Completion("failing", reason=_describe(error))) from None

    def _address(self, path: str) -> URL:
        """The address of a path; the few that each request uses are parsed once."""
        known = self._addresses.get(path)
        if known is None:
            known = URL(self._url + path).update_query(self._query)
            if len(self._addresses) < 16:
                self._addresses[path] = known
        return known


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    pieces: list[bytes] = []
    left = limit
    async for piece in response.content.iter_any():
        left -= len(piece)
        if left < 0:
            response.close()  # the rest is not waited for
            raise NoReplyError(Completion("odd", reason=f"a reply of more than {limit:,} bytes"))
        pieces.append(piece)
    return b"".join(pieces)


def _describe(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):  # it has a status of its own, which no server has sent
        said = str(getattr(error, "message", ""))
        return harmless(f"no HTTP reply, but {' '.join(said.split())}", limit=200)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "a reply that was cut off, or cannot be unpacked"
    return harmless(str(error).strip() or type(error).__name__, limit=200)


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(url) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"
