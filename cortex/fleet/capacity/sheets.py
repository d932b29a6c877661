"""Data sheets of GPUs: memory, arithmetic and bandwidth of a profile's accelerator."""

from dataclasses import dataclass

from cortex.errors import ConfigError
from cortex.section import nearest

GIB = 1024**3
TERA, GIGA = 1e12, 1e9

MATRIX_SHARE = 0.7
"""Share of the sheet's bf16 peak that large matrix products reach; PyTorch's own `RuntimeEstimator` assumes 0.75."""
MEMORY_SHARE = 0.8
"""Share of the sheet's memory bandwidth that a kernel which only moves data reaches."""
LINK_SHARE = 0.8
"""Share of a link's bandwidth in one direction that NCCL's gathers of large buffers reach."""


@dataclass(frozen=True)
class GpuSheet:
    """One GPU by its maker's data sheet, for dense arithmetic, with links counted in one direction."""

    name: str
    """SkyPilot's name of the GPU."""
    memory: float
    """GiB that CUDA gives to programs, which is less than the sheet's number."""
    tflops: float
    """bf16 with float32 accumulation, without sparsity."""
    tflops32: float
    """float32 outside of the tensor cores."""
    memory_gbs: float
    """GB a second of its own memory."""
    link_gbs: float
    """GB a second to the other GPUs of the machine: by NVLink, or by PCIe where there is no NVLink."""
    source: str

    @property
    def bytes(self) -> float:
        return self.memory * GIB

    @property
    def flops(self) -> float:
        """Floating-point operations a second that matrix products reach."""
        return self.tflops * TERA * MATRIX_SHARE

    @property
    def flops32(self) -> float:
        return self.tflops32 * TERA * MATRIX_SHARE

    @property
    def bandwidth(self) -> float:
        """Bytes a second of its own memory that kernels reach."""
        return self.memory_gbs * GIGA * MEMORY_SHARE

    @property
    def link(self) -> float:
        """Bytes a second from the other GPUs that NCCL reaches."""
        return self.link_gbs * GIGA * LINK_SHARE


SHEETS = {
    sheet.name: sheet
    for sheet in (
        GpuSheet("H100", 79.1, 989, 67, 3350, 450, "NVIDIA H100 data sheet, SXM5; memory as CUDA reports it"),
        GpuSheet("H200", 139.8, 989, 67, 4800, 450, "NVIDIA H200 data sheet, SXM; memory as CUDA reports it"),
        GpuSheet("B200", 178.3, 2250, 75, 8000, 900, "NVIDIA DGX B200 data sheet, per GPU; memory as CUDA reports it"),
        GpuSheet(
            "A100-80GB", 79.2, 312, 19.5, 2039, 300, "NVIDIA A100 data sheet, 80GB SXM; memory as CUDA reports it"
        ),
        GpuSheet("A100", 39.4, 312, 19.5, 1555, 300, "NVIDIA A100 data sheet, 40GB SXM; memory as CUDA reports it"),
        GpuSheet("L40S", 44.4, 362, 91.6, 864, 32, "NVIDIA L40S data sheet, PCIe 4; memory as CUDA reports it"),
        GpuSheet(
            "RTX4090", 23.5, 165.2, 82.6, 1008, 32, "NVIDIA Ada architecture whitepaper; memory as CUDA reports it"
        ),
        GpuSheet("A10G", 22.0, 70, 35, 600, 32, "AWS G5 and NVIDIA A10G data sheet, PCIe 4; memory as CUDA reports it"),
        GpuSheet("L4", 22.0, 121, 30.3, 300, 32, "NVIDIA L4 data sheet, PCIe 4; memory as CUDA reports it"),
    )
}


def gpu_sheet(accelerator: str) -> GpuSheet:
    """The sheet of a GPU by SkyPilot's name.

    Raises:
        ConfigError: the GPU is not in `SHEETS`.
    """
    if accelerator not in SHEETS:
        raise ConfigError(
            f"hardware.accelerator {accelerator!r}: its memory and speed are not known here: "
            f"{nearest(accelerator, list(SHEETS))}"
        )
    return SHEETS[accelerator]
