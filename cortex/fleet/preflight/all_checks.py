"""All checks of a run before its launch, run at the same time, under one time limit."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from cortex.errors import CortexError
from cortex.fleet.preflight import (
    bucket_check,
    bucket_keys_check,
    clock_check,
    clouds_check,
    cost_check,
    credentials_check,
    deadline_check,
    disk_check,
    domain_check,
    hub_check,
    images_check,
    keys_check,
    machines_check,
    memory_check,
    quota_check,
    spot_check,
    stack_check,
    teacher_check,
    tools_check,
    tracking_check,
)
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Document, Ground
from cortex.profiles.profile import Profile
from cortex.settings import Settings


@dataclass(frozen=True)
class Check:
    """One check: its name, its function, and whether the launch depends on the service that it asks."""

    name: str
    ask: Callable[[Ground], Finding]
    needed: bool = field(default=False, kw_only=True)
    """True where the launch itself needs the service that the check asks; only then does a timeout fail the check."""


CHECKS: tuple[Check, ...] = (
    Check(tools_check.NAME, tools_check.check),
    Check(credentials_check.NAME, credentials_check.check, needed=True),
    Check(clouds_check.NAME, clouds_check.check, needed=True),
    Check(machines_check.NAME, machines_check.check),
    Check(quota_check.NAME, quota_check.check),
    Check(spot_check.NAME, spot_check.check),
    Check(stack_check.NAME, stack_check.check),
    Check(bucket_check.NAME, bucket_check.check, needed=True),
    Check(bucket_keys_check.NAME, bucket_keys_check.check),
    Check(images_check.NAME, images_check.check),
    Check(domain_check.NAME, domain_check.check),
    Check(hub_check.NAME, hub_check.check),
    Check(teacher_check.NAME, teacher_check.check),
    Check(keys_check.NAME, keys_check.check),
    Check(tracking_check.NAME, tracking_check.check),
    Check(memory_check.NAME, memory_check.check),
    Check(disk_check.NAME, disk_check.check),
    Check(clock_check.NAME, clock_check.check),
    Check(cost_check.NAME, cost_check.check),
    Check(deadline_check.NAME, deadline_check.check),
)
"""The checks, in the order in which a user would mend their findings."""


def preflight(
    profile: Profile,
    run: str | None,
    settings: Settings,
    documents: Sequence[Document],
    *,
    checks: Sequence[Check] = CHECKS,
    environment: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """Run all checks of a run that is to be launched, and return one finding a check, in the checks' order.

    The time limit is the settings' `preflight_seconds`: the user waits some 20 seconds in all, and the program itself
    takes the rest.

    `documents` are the pipeline's tasks as they would be submitted; without any, checks of tasks are skipped.
    `environment` is the source of the tasks' secrets.
    """
    # Imported before the checks' threads start: several that import parts of it at once would find it half loaded.
    import sky

    assert sky
    return ask_all(Ground(profile, run, settings, documents, environment), checks, settings.preflight_seconds)


def ask_all(ground: Ground, checks: Sequence[Check], longest: float) -> list[Finding]:
    """Run the checks at the same time. Late checks are abandoned: their threads end with the program."""
    answers: SimpleQueue[tuple[str, Finding]] = SimpleQueue()
    for check in checks:
        threading.Thread(
            target=lambda check=check: answers.put((check.name, _asked(check, ground))),
            name=f"preflight-{check.name}",
            daemon=True,
        ).start()
    started, found = time.monotonic(), dict[str, Finding]()
    while len(found) < len(checks):
        try:
            name, finding = answers.get(timeout=max(0.0, started + longest - time.monotonic()))
        except Empty:
            break
        found[name] = finding
    return [found.get(check.name) or _silent(check, longest) for check in checks]


def _asked(check: Check, ground: Ground) -> Finding:
    try:
        return check.ask(ground)
    except CortexError as error:
        return Finding(check.name, False if check.needed else None, str(error), _fix(check))
    except Exception as error:
        # A cloud's library may raise anything; only this check reports it, and the others still count.
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Finding(check.name, False if check.needed else None, f"could not be looked at: {words}", _fix(check))


def _silent(check: Check, seconds: float) -> Finding:
    return Finding(check.name, False if check.needed else None, f"no answer within {seconds:.0f} s", _fix(check))


def _fix(check: Check) -> str | None:
    if not check.needed:
        return None
    return "see that its service can be reached from here (network, proxy, VPN), then run this again"
