"""Check by the capacity plan that every phase fits on the profile's GPUs and into the memory that its task asks for."""

import math
from collections.abc import Iterator, Sequence

from cortex.errors import ConfigError
from cortex.fleet.capacity.capacity_plan import CapacityPlan, plan_capacity
from cortex.fleet.capacity.phase import Phase
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.preflight.amounts import read_gib
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Document, Ground, resources
from cortex.fleet.tasks.run_tasks import stages
from cortex.runs.pipeline import SKY_YAML

NAME = "memory"


def check(ground: Ground) -> Finding:
    """Compare the GPU memory that each phase needs with what the GPU has; traces that exist already are used."""
    profile = ground.profile
    if profile.hardware.device != "cuda":
        return Finding(NAME, None, "the profile trains on a CPU")
    try:
        plan = plan_capacity(
            profile,
            ground.settings,
            documents=ground.documents or None,
            environment=ground.environment,
            tracing="kept",
        )
    except ConfigError as error:
        return Finding(NAME, None, f"not checked: {error}")
    if plan.misfits:
        return Finding(NAME, False, "; ".join(_needs(misfit.phase) for misfit in plan.misfits), plan.misfits[0].fix)
    if small := list(_small_hosts(plan, ground.documents)):
        return Finding(NAME, False, "; ".join(detail for detail, _ in small), "; ".join(fix for _, fix in small))
    return Finding(NAME, True, f"{_fullest(plan)} ({plan.basis}; `cortex plan {profile.name}` shows every phase)")


def _small_hosts(plan: CapacityPlan, documents: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """Faults and fixes of tasks that ask for less host memory than a phase of their stages needs. A task that asks for
    none gets the memory that comes with its GPUs."""
    for document in documents:
        work = stages(document, SKY_YAML)
        fullest = max(
            (found for found in plan.phases if found.stage in work), key=lambda found: found.host, default=None
        )
        asked = [
            read_gib(document, "memory", given)
            for entry in resources(document)
            if (given := entry.get("memory")) is not None and not str(given).endswith("x")  # a multiple of its vCPUs
        ]
        if fullest and asked and min(asked) * GIB < fullest.host:
            name, needed = document.get("name"), math.ceil(fullest.host / GIB)
            yield (
                f"task {name} may be given {min(asked):g} GiB of host memory, and {fullest.stage} {fullest.name} "
                f"fills {needed}",
                f"memory: {needed}+ in task {name}'s resources",
            )


def _needs(phase: Phase) -> str:
    return f"{phase.stage} {phase.name}: {phase.over / GIB:.1f} GiB too few"


def _fullest(plan: CapacityPlan) -> str:
    phase = max((found for found in plan.phases if found.capacity), key=lambda found: found.gpu)
    return f"at most {phase.gpu / GIB:.0f} of {phase.capacity / GIB:.0f} GiB of a GPU, in {phase.stage} {phase.name}"
