"""All checks of a run before its launch, asked at the same time, under one limit."""

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
    """One thing to look at."""

    name: str
    ask: Callable[[Ground], Finding]
    needed: bool = field(default=False, kw_only=True)
    """Whether launching itself needs the service that it asks: then silence speaks against launching."""


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
"""In the order in which a user would mend what they find."""


def preflight(
    profile: Profile,
    run: str | None,
    settings: Settings,
    documents: Sequence[Document],
    *,
    checks: Sequence[Check] = CHECKS,
    environment: Mapping[str, str] = os.environ,
) -> list[Finding]:
    """Ask every check about a run that is to be launched; a finding a check, in their order.

    The settings' `preflight_seconds` are their limit: the program itself takes the rest of a user's 20 seconds.

    `documents` are the pipeline's tasks as they would be submitted; without any, what is asked of them is skipped.
    `environment` is what their secrets are filled from.
    """
    import sky  # here, for checks that import parts of it at the same time would find it half made

    assert sky
    return ask_all(Ground(profile, run, settings, documents, environment), checks, settings.preflight_seconds)


def ask_all(ground: Ground, checks: Sequence[Check], longest: float) -> list[Finding]:
    """Ask at the same time. What does not answer in time is left to itself: its thread ends with the program."""
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
        # Whatever a cloud's library raises is for this one check to tell; the others must still be heard.
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return Finding(check.name, False if check.needed else None, f"could not be looked at: {words}", _fix(check))


def _silent(check: Check, seconds: float) -> Finding:
    return Finding(check.name, False if check.needed else None, f"no answer within {seconds:.0f} s", _fix(check))


def _fix(check: Check) -> str | None:
    if not check.needed:
        return None
    return "see that its service can be reached from here (network, proxy, VPN), then run this again"
