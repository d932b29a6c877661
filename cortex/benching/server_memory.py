"""Memory of a server under load, where it can be known: of its processes on this machine, or by its own metrics."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx2

from cortex.benching.bench_target import BenchTarget
from cortex.limits import MIB
from cortex.urls import is_loopback

if TYPE_CHECKING:
    from psutil import Process

_EVERY_SECONDS = 1.0
_METRIC = re.compile(rb"^(?P<name>[A-Za-z_:][\w:]*)(?:\{[^\n]*\})? (?P<value>[0-9.eE+-]+)(?: \d+)?$", re.MULTILINE)
_RESIDENT = b"process_resident_memory_bytes"
_CACHE_SHARES = (b"vllm:kv_cache_usage_perc", b"vllm:gpu_cache_usage_perc")
"""vLLM's share of its KV cache in use, by the names of its newer and older releases."""


@dataclass(frozen=True)
class Memory:
    """The highest values that were seen."""

    bytes: int | None = None
    source: str | None = None
    """`processes`: all processes of the server on this machine, memory that they share counted once. `metrics`: the
    process that answers `/metrics`, which need not be the one with the model."""
    kv_cache: float | None = None
    """Share of the KV cache in use, from 0 to 1."""

    def to_json(self) -> dict[str, Any]:
        return {"bytes": self.bytes, "source": self.source, "kv_cache": self.kv_cache}


class MemoryMeter:
    """Samples a server's memory each second until the block is left. A server that tells nothing is left in peace."""

    def __init__(self, client: httpx2.AsyncClient, target: BenchTarget) -> None:
        self._client = client
        self._address = f"{target.url.removesuffix('/v1')}/metrics"
        self._processes = _server_processes(target.url)
        self.highest = Memory()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._sample_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _sample_on(self) -> None:
        tells = True
        while True:
            resident = await asyncio.to_thread(_proportional_bytes, self._processes) if self._processes else None
            if tells:
                tells = await self._read_metrics(resident)
            elif resident:
                self._note(resident, "processes", None)
            await asyncio.sleep(_EVERY_SECONDS)

    async def _read_metrics(self, resident: int | None) -> bool:
        """Take one sample of the server's metrics; False where it has none of them."""
        found: dict[bytes, float] = {}
        with suppress(httpx2.HTTPError):
            reply = await self._client.get(self._address, timeout=5.0)
            if reply.status_code == 200:
                found = read_metrics(reply.content[: 4 * MIB])
        cache = next((found[name] for name in _CACHE_SHARES if name in found), None)
        if resident:
            self._note(resident, "processes", cache)
        elif _RESIDENT in found:
            self._note(int(found[_RESIDENT]), "metrics", cache)
        elif cache is not None:
            self._note(None, None, cache)
        return bool(found)

    def _note(self, size: int | None, source: str | None, cache: float | None) -> None:
        highest = self.highest
        self.highest = Memory(
            max(filter(None, (size, highest.bytes)), default=None),
            source or highest.source,
            max((share for share in (cache, highest.kv_cache) if share is not None), default=None),
        )


def read_metrics(text: bytes) -> dict[bytes, float]:
    """The metrics that are known here, from Prometheus' text; of several engines, the highest."""
    found: dict[bytes, float] = {}
    for match in _METRIC.finditer(text):
        name = match["name"]
        if name == _RESIDENT or name in _CACHE_SHARES:
            with suppress(ValueError):
                value = float(match["value"])
                if 0 <= value < 2**60:
                    found[name] = max(value, found.get(name, 0.0))
    return found


def _server_processes(url: str) -> "list[Process]":
    """The program that listens at a loopback address, and all that it started; empty where it is another user's."""
    import psutil

    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not is_loopback(url):
        return []
    with suppress(psutil.Error):
        listening = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.pid and connection.laddr[1:] == (port,)
        }
        # Of a server and workers that listen at the same port, the eldest started the others.
        eldest = min((psutil.Process(pid) for pid in listening), key=psutil.Process.create_time, default=None)
        if eldest:
            return [eldest, *eldest.children(recursive=True)]
    return []


def _proportional_bytes(processes: "list[Process]") -> int | None:
    """Memory of the processes together: pages that several share count once. Without that figure, resident memory."""
    import psutil

    total = 0
    for process in processes:
        with suppress(psutil.Error):
            info: Any = process.memory_full_info()
            total += getattr(info, "pss", None) or info.rss
    return total or None
