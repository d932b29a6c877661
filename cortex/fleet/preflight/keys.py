"""Check of the keys for other services that the profile uses."""

from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.reasoning.key_way import KEEP_PRIVATE, key_laid_open
from cortex.urls import is_loopback

NAME = "keys"


def check(ground: Ground) -> Finding:
    """Check that every key that a stage of this profile needs is set; the services themselves are not asked."""
    needed, missing, fixes = list[str](), list[str](), list[str]()
    url = ground.settings.teacher_url or ground.profile.teacher.url
    if url and not is_loopback(url):
        needed.append("CORTEX_TEACHER_API_KEY")
        if "teacher_api_key" not in ground.settings.model_fields_set:
            missing.append(f"CORTEX_TEACHER_API_KEY is not set, and the teacher is {url}")
            fixes.append("export CORTEX_TEACHER_API_KEY=... (`none` for an endpoint that asks for no key)")
        fault = key_laid_open(url, ground.settings)
        if fault:
            missing.append(fault)
            fixes.append(KEEP_PRIVATE)
    if ground.profile.data.source.kind == "flipside":
        needed.append("CORTEX_FLIPSIDE_API_KEY")
        key = ground.settings.flipside_api_key
        if key is None or not key.get_secret_value():
            missing.append("CORTEX_FLIPSIDE_API_KEY is not set, and the data come from Flipside")
            fixes.append("export CORTEX_FLIPSIDE_API_KEY=..., or give the profile another data.source")
    if missing:
        return Finding(NAME, False, "; ".join(missing), "; ".join(fixes))
    return Finding(NAME, True, f"set: {', '.join(needed)}" if needed else "this profile needs none")
