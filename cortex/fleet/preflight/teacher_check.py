"""Check of the teacher of a distillation: machines can fetch it, and it has the tokenizer of the profile's model."""

from cortex.bases.hub import HubSilentError
from cortex.bases.teacher_fit import check_teacher
from cortex.errors import ConfigError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "distillation"

_SHARE = 0.4
"""Share of the checks' time limit for the hub's files of each of the two models."""


def check(ground: Ground) -> Finding:
    distill = ground.profile.distill
    if distill is None:
        return Finding(NAME, None, "the profile distills nothing")
    if distill.teacher.run:
        # Machines can read their own run's folder, and no other's.
        detail = f"{distill.teacher.name}: machines cannot read another run's folder"
        fix = "publish that run's release on a hub (cortex publish), and name it as distill.teacher.base"
        return Finding(NAME, False, detail, fix)
    try:
        found = check_teacher(ground.profile, ground.environment, _SHARE * ground.settings.preflight_seconds)
    except ConfigError as error:
        return Finding(NAME, False, str(error), "name another distill.teacher.base")
    except HubSilentError as error:
        return Finding(NAME, None, f"the tokenizer of {distill.teacher.name} was not compared: {error}")
    return Finding(NAME, True, found)
