"""How busy and how full this machine's GPUs are, by NVIDIA's own library, where an image and a machine have it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY = 1.0
"""Seconds between two samples."""


@dataclass(frozen=True)
class GpuUse:
    """One GPU at one moment."""

    busy: float
    """Share of the last moment in which a kernel ran."""
    used_gib: float


class GpuMeter:
    """Samples all GPUs now and then; what is asked for is their use since it was asked for last."""

    def __init__(self, read: Callable[[], list[GpuUse]] | None = None) -> None:
        """`read`: how the GPUs are looked at; by default through NVML."""
        self._read = read or nvml_reader()
        self._samples: list[list[GpuUse]] = []
        self._sampled = float("-inf")

    def sample(self, now: float) -> None:
        """Look at the GPUs, unless that was a moment ago."""
        if now - self._sampled >= EVERY:
            self._sampled = now
            if uses := self._read():
                self._samples.append(uses)

    def since_last(self) -> dict[str, float]:
        """The mean use of all GPUs, that of the idlest, and the fullest's memory; nothing where none was seen."""
        if not self._samples:
            return {}
        by_gpu = [[use.busy for use in uses] for uses in zip(*self._samples, strict=False)]
        means = [statistics.fmean(busy) for busy in by_gpu]
        most = max(use.used_gib for uses in self._samples for use in uses)
        self._samples.clear()
        return {"gpu/busy_mean": statistics.fmean(means), "gpu/busy_least": min(means), "gpu/used_gib_most": most}


def nvml_reader() -> Callable[[], list[GpuUse]]:
    """A reader of this machine's GPUs; it finds none where the library or a driver is missing."""
    try:
        import pynvml
    except ImportError:
        return list
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return list
    return lambda: _read(pynvml, handles)


def _read(nvml: Any, handles: list[Any]) -> list[GpuUse]:
    try:
        return [
            GpuUse(
                busy=nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
                used_gib=nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**30,
            )
            for handle in handles
        ]
    except nvml.NVMLError:  # a GPU that has fallen off the bus is the trainer's to report
        return []
