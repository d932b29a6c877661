"""The capacity plan: does every phase fit onto the profile's own GPUs?"""

from cortex.errors import ConfigError
from cortex.fleet.capacity.phase import Phase
from cortex.fleet.capacity.plan import CapacityPlan, plan_capacity
from cortex.fleet.capacity.sheets import GIB
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "memory"


def check(ground: Ground) -> Finding:
    """Compare what each phase needs of a GPU with what the GPU has; a trace that was made before goes first."""
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
    return Finding(NAME, True, f"{_fullest(plan)} ({plan.basis}; `cortex plan {profile.name}` shows every phase)")


def _needs(phase: Phase) -> str:
    return f"{phase.stage} {phase.name}: {phase.over / GIB:.1f} GiB too few"


def _fullest(plan: CapacityPlan) -> str:
    phase = max((found for found in plan.phases if found.capacity), key=lambda found: found.gpu)
    return f"at most {phase.gpu / GIB:.0f} of {phase.capacity / GIB:.0f} GiB of a GPU, in {phase.stage} {phase.name}"
