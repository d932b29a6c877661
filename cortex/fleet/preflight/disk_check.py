"""Check that each task's disk is large enough for its models, checkpoints and copies."""

from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import read_architecture
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.capacity.teacher_cost import teacher_architecture
from cortex.fleet.preflight.amounts import read_gib
from cortex.fleet.preflight.disk_bytes import need
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground, resources
from cortex.fleet.tasks.run_tasks import stages
from cortex.runs.pipeline import SKY_YAML

NAME = "disk"

DEFAULT = 256
"""GiB of the disk of a task that names no size: SkyPilot's default."""

SYSTEM = 60
"""GiB for the system, the image with its CUDA libraries, logs and caches: an estimate."""


def check(ground: Ground) -> Finding:
    """Compare every task's `disk_size` with the needs of its stages (`weights.need`) and of the system."""
    by_task = [(document, work) for document in ground.documents if (work := stages(document, SKY_YAML))]
    if not by_task:
        return Finding(NAME, None, "no task of the plan runs stages")
    try:
        _, architecture = read_architecture(ground.profile.model, ground.environment)
        distill = ground.profile.distill
        # Only rehearsals learn from another run's release, which is small.
        teacher = teacher_architecture(ground.profile, ground.environment) if distill and distill.teacher.base else None
    except ConfigError as error:
        return Finding(NAME, None, f"not checked: {error}")
    small, fixes, most = list[str](), list[str](), 0.0
    for document, work in by_task:
        wanted = need(ground.profile, architecture, work, teacher)
        total = SYSTEM + wanted.total / GIB
        most = max(most, total)
        size = min(read_gib(document, "disk_size", entry.get("disk_size") or DEFAULT) for entry in resources(document))
        if size < total:
            name = document.get("name")
            taught = f"teacher {wanted.teacher / GIB:.0f}, " if wanted.teacher else ""
            small.append(
                f"{name}: {size:.0f} GiB, and it needs about {total:.0f} (base {wanted.base / GIB:.0f}, {taught}"
                f"checkpoints {wanted.checkpoints / GIB:.0f}, models {wanted.models / GIB:.0f}, system {SYSTEM})"
            )
            fixes.append(f"disk_size: {_rounded(total)} in task {name}'s resources")
    if small:
        return Finding(NAME, False, "; ".join(small), "; ".join(fixes))
    return Finding(NAME, True, f"the fullest task needs about {most:.0f} GiB")


def _rounded(size: float) -> int:
    """The size rounded up to a multiple of 64."""
    return 64 * -(-int(size + 1) // 64)
