"""Utilization and memory of this machine's GPUs, read through NVIDIA's NVML where it is installed."""

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
    """Samples all GPUs now and then, and reports their use since the last report."""

    def __init__(self, read: Callable[[], list[GpuUse]] | None = None) -> None:
        """`read`: a function that reads all GPUs; by default through NVML."""
        self._read = read or nvml_reader()
        self._samples: list[list[GpuUse]] = []
        self._sampled = float("-inf")

    def sample(self, now: float) -> None:
        """Read the GPUs, unless the last sample is recent."""
        if now - self._sampled >= EVERY:
            self._sampled = now
            if uses := self._read():
                self._samples.append(uses)

    def since_last(self) -> dict[str, float]:
        """Mean utilization, that of the idlest GPU, and memory of the fullest; empty where no GPU was found."""
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
    except nvml.NVMLError:  # the trainer reports a GPU that has fallen off the bus
        return []
