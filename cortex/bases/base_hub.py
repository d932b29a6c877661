"""Checks of a base model on the hub, before anything is rented: of its list of files, and its small files."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from cortex.bases.base_rules import CONFIG, READ, BaseFiles, read_object, require_trainable
from cortex.bases.hub import HubSilentError, check_name
from cortex.errors import ConfigError
from cortex.limits import MIB, read_json

PUBLIC = "https://huggingface.co"

_LISTING_BYTES = 16 * MIB
"""Most bytes that are read of a model's entry: that of a model with 100,000 files has about 6 MB."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_hub_base(base: str, environment: Mapping[str, str], seconds: float, revision: str | None = None) -> str:
    """Refuse a model of the hub that `sft` could not train from; read with HF_TOKEN if it is set, else as the public.

    Checks a commit, by default the main branch's newest, and returns it.

    Raises:
        ConfigError: the model lacks something, which the message names, or HF_TOKEN gives no access to it.
        HubSilentError: the hub did not answer within `seconds`, gave another answer, or asks for a token.
    """
    commit, files = _read_files(base, revision, READ, environment, seconds)
    require_trainable(files)
    return commit


def read_hub_config(
    base: str, environment: Mapping[str, str], seconds: float, revision: str | None = None
) -> dict[str, Any]:
    """Read the `config.json` of a model of the hub, and no other file.

    Raises:
        ConfigError: the model has no valid one, or HF_TOKEN gives no access to it.
        HubSilentError: as `check_hub_base`.
    """
    _, files = _read_files(base, revision, (CONFIG,), environment, seconds)
    if CONFIG not in files.names:
        raise ConfigError(f"model.base {base} has no {CONFIG} on the hub: name a whole model")
    return read_object(files, CONFIG)


def read_hub_files(
    base: str, revision: str | None, wanted: Iterable[str], environment: Mapping[str, str], seconds: float
) -> Mapping[str, bytes]:
    """The wanted small files of a model of the hub, as far as it has them.

    Raises:
        ConfigError, HubSilentError: as `check_hub_base`.
    """
    return _read_files(base, revision, wanted, environment, seconds)[1].contents


def _read_files(
    base: str, revision: str | None, wanted: Iterable[str], environment: Mapping[str, str], seconds: float
) -> tuple[str, BaseFiles]:
    check_name(base)
    if environment.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise HubSilentError("HF_HUB_OFFLINE is set: no hub was asked")
    endpoint = (environment.get("HF_ENDPOINT") or PUBLIC).rstrip("/")
    try:
        return asyncio.run(_fetch(base, revision, wanted, endpoint, environment.get("HF_TOKEN") or None, seconds))
    except TimeoutError as error:
        raise HubSilentError(f"{endpoint} did not give the files of {base} within {seconds:.0f} s") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise HubSilentError(f"{endpoint} cannot be reached from here ({type(error).__name__})") from error


async def _fetch(
    base: str, revision: str | None, wanted: Iterable[str], endpoint: str, token: str | None, seconds: float
) -> tuple[str, BaseFiles]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        asyncio.timeout(seconds),
        # The hub redirects to another host for large files; httpx2 does not send the token there.
        httpx2.AsyncClient(headers=headers, follow_redirects=True) as client,
    ):
        at = f"/revision/{revision}" if revision else ""
        data = await _get(client, f"{endpoint}/api/models/{base}{at}", _LISTING_BYTES, token)
        commit, names = _parse_listing(data, endpoint)
        there = [name for name in wanted if name in names]
        addresses = [f"{endpoint}/{base}/resolve/{commit}/{quote(name)}" for name in there]
        contents = [
            await _get(client, address, READ[name], token) for name, address in zip(there, addresses, strict=True)
        ]
    return commit, BaseFiles(base, names, dict(zip(there, contents, strict=True)))


async def _get(client: httpx2.AsyncClient, url: str, limit: int, token: str | None) -> bytes:
    """An answer's body, of `limit` bytes at most."""
    async with client.stream("GET", url) as response:
        status = response.status_code
        if token and _is_refusal(response.headers):
            raise ConfigError(f"{url} answers {status}: HF_TOKEN does not open that model, or there is none")
        if response.headers.get("X-Error-Code") == "RevisionNotFound":
            raise ConfigError(f"{url} answers {status}: it has no such commit; correct model.revision, or leave it out")
        if status != 200:
            raise HubSilentError(f"{url} answers {status}" + ("" if token else " without HF_TOKEN"))
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > limit:
                raise ConfigError(f"{url} has more than the {limit:,} bytes that such a file of a model may have")
    return bytes(body)


def _is_refusal(headers: Mapping[str, str]) -> bool:
    """Tell if the hub itself refuses; a proxy, or the host of large files, may answer 403 for other reasons."""
    known = headers.get("X-Error-Code") in ("GatedRepo", "RepoNotFound")
    return known or "Invalid credentials" in headers.get("X-Error-Message", "")


def _parse_listing(data: bytes, endpoint: str) -> tuple[str, frozenset[str]]:
    """A model's commit and the names of its files; raises HubSilentError if the answer is not a hub's."""
    try:
        entry = read_json(data, nan=True)
        commit, names = str(entry["sha"]), frozenset(str(file["rfilename"]) for file in entry["siblings"])
    except (ValueError, KeyError, TypeError) as error:
        raise HubSilentError(f"{endpoint} answers with something that is no list of a model's files") from error
    if not _COMMIT.fullmatch(commit):
        raise HubSilentError(f"{endpoint} names no commit beside a model's files")
    return commit, names
