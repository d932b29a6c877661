"""An endpoint under load: its address, its model and its key."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from cortex.benching.request_record import Fault
from cortex.errors import ConfigError, UsageError
from cortex.limits import ANSWER_BYTES, read_json
from cortex.settings import Settings
from cortex.teaching.key_way import KEEP_PRIVATE, variable_laid_open
from cortex.text import harmless
from cortex.urls import check_http_url, is_loopback

_SPEC = re.compile(r"(?:(?P<model>.+?)@)?(?P<url>https?:.*)", re.IGNORECASE | re.DOTALL)
_FIRST_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class BenchTarget:
    """An OpenAI-compatible endpoint."""

    url: str
    """The address up to `/v1`, without a slash at its end."""
    model: str
    """The model's name in requests; empty until `find_model` has asked for it."""
    key_variable: str
    key: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """The endpoint's name in tables."""
        return f"{self.model}@{urlsplit(self.url).netloc}"

    def client(self) -> httpx2.AsyncClient:
        """A client that keeps its connections. Redirects are not followed, since their target must not get the key."""
        return httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            timeout=None,  # each request has one limit for the whole of it
            follow_redirects=False,
            trust_env=not is_loopback(self.url),
        )


def read_target(text: str, settings: Settings, setting: str = "bench_api_key") -> BenchTarget:
    """An endpoint from `URL` or `MODEL@URL`, with the key of a setting.

    Raises:
        UsageError: the text is no address.
        ConfigError: others could read the key on its way.
    """
    found = _SPEC.fullmatch(text.strip())
    try:
        url = check_http_url(found["url"] if found else text).rstrip("/")
    except ValueError as error:
        raise UsageError(f"the endpoint {text[:100]!r} {error}; a model's name goes before it, as MODEL@URL") from error
    key = getattr(settings, setting).get_secret_value()
    variable = f"CORTEX_{setting.upper()}"
    key = None if key in ("", "none") else key
    if key and (fault := variable_laid_open(variable, url, settings)):
        raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
    return BenchTarget(url, (found["model"] if found else None) or "", variable, key)


async def find_model(target: BenchTarget, client: httpx2.AsyncClient) -> BenchTarget:
    """The target with a model: the one named, or the first that the server lists.

    Raises:
        ConfigError: the server does not answer, lets nobody in with this key, or lists no model.
    """
    if target.model:
        return target
    where = f"{target.url}/models"
    try:
        reply = await client.get(where, timeout=_FIRST_ANSWER_SECONDS)
    except httpx2.HTTPError as error:
        raise ConfigError(f"{where} does not answer ({describe(error)}): start the server, or name another") from error
    if reply.status_code in (401, 403):
        raise ConfigError(f"{where} answers {reply.status_code}: set {target.key_variable} to a key that it lets in")
    names = _names(reply.content[:ANSWER_BYTES]) if reply.status_code == 200 else []
    if not names:
        raise ConfigError(f"{where} answers {reply.status_code} and lists no model: name one, as MODEL@{target.url}")
    return BenchTarget(target.url, names[0], target.key_variable, target.key)


def describe(error: Exception) -> str:
    """A client's error in one line."""
    return harmless(str(error) or type(error).__name__, limit=200)


def answer_fault(status: int, body: bytes) -> Fault:
    """The fault of an answer that is no stream, in the server's own words."""
    try:
        said: Any = read_json(body)
    except ValueError:
        said = body.decode(errors="replace")
    if isinstance(said, dict):
        said = said.get("error", said.get("detail", said))
    if isinstance(said, dict):
        said = said.get("message", said)
    return Fault(f"http {status}", harmless(said, limit=200))


def _names(body: bytes) -> list[str]:
    try:
        listed: Any = read_json(body)
    except ValueError:
        return []
    entries = listed.get("data") if isinstance(listed, dict) else None
    found = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [name for name in found if isinstance(name, str) and name]
