"""All checks of a run before its launch, run at the same time, under one time limit."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from cortex.errors import CortexError
from cortex.fleet.preflight import (
    bucket,
    clock,
    clouds,
    cost,
    credentials,
    deadline,
    disk,
    elsewhere,
    hub,
    images,
    keys,
    machines,
    memory,
    quota,
    spot,
    stack,
    tools,
    tracking,
)
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Document, Ground
from cortex.runs.profile import Profile
from cortex.settings import Settings


@dataclass(frozen=True)
class Check:
    """One check: its name, its function, and whether the launch depends on the service that it asks."""

    name: str
    ask: Callable[[Ground], Finding]
    needed: bool = field(default=False, kw_only=True)
    """True where the launch itself needs the service that the check asks; only then does a timeout fail the check."""


CHECKS: tuple[Check, ...] = (
    Check(tools.NAME, tools.check),
    Check(credentials.NAME, credentials.check, needed=True),
    Check(clouds.NAME, clouds.check, needed=True),
    Check(machines.NAME, machines.check),
    Check(quota.NAME, quota.check),
    Check(spot.NAME, spot.check),
    Check(stack.NAME, stack.check),
    Check(bucket.NAME, bucket.check, needed=True),
    Check(elsewhere.NAME, elsewhere.check),
    Check(images.NAME, images.check),
    Check(hub.NAME, hub.check),
    Check(keys.NAME, keys.check),
    Check(tracking.NAME, tracking.check),
    Check(memory.NAME, memory.check),
    Check(disk.NAME, disk.check),
    Check(clock.NAME, clock.check),
    Check(cost.NAME, cost.check),
    Check(deadline.NAME, deadline.check),
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
