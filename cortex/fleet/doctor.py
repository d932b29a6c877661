"""From nothing to a first launch: what is needed, in the order to do it, and how far this machine has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cortex.fleet.preflight import builder
from cortex.fleet.preflight.all_checks import CHECKS, Check, ask_all
from cortex.fleet.preflight.finding import Finding, styled
from cortex.fleet.preflight.ground import Document, Ground
from cortex.runs.profile import Profile
from cortex.settings import Settings


@dataclass(frozen=True)
class Step:
    """Something to have before what follows can be had."""

    name: str
    checks: tuple[Check, ...]


_KNOWN = {check.name: check for check in (*CHECKS, Check(builder.NAME, builder.check))}
"""Preflight's own checks, and those of what is needed only until a first launch."""


def _step(name: str, *checks: str) -> Step:
    return Step(name, tuple(_KNOWN[check] for check in checks))


STEPS: tuple[Step, ...] = (
    _step("this machine's programs", "tools", "docker"),
    _step("an account", "credentials", "clock"),
    # Asked for early: an answer may take days.
    _step("room for its machines", "quota", "spot"),
    _step("the ground", "stack", "bucket", "elsewhere"),
    _step("SkyPilot", "clouds", "machines"),
    _step("images", "images"),
    _step("keys", "keys", "model", "tracking"),
    _step("the profile", "memory", "disk", "budget", "deadline"),
)
"""In the order to do them. What preflight asks before a launch is among them, each where a newcomer comes to it."""


@dataclass(frozen=True)
class Reached:
    """A step, and what was found of it."""

    step: Step
    findings: tuple[Finding, ...]

    @property
    def missing(self) -> Finding | None:
        """The first thing that it lacks."""
        return next((finding for finding in self.findings if finding.ok is False), None)


def examine(profile: Profile, settings: Settings, documents: Sequence[Document]) -> list[Reached]:
    """Ask all checks of all steps at the same time, as preflight does; `documents` are the tasks of a launch."""
    import sky  # here, for checks that import parts of it at the same time would find it half made

    assert sky
    checks = [check for step in STEPS for check in step.checks]
    found = iter(ask_all(Ground(profile, None, settings, documents), checks, settings.preflight_seconds))
    return [Reached(step, tuple(next(found) for _ in step.checks)) for step in STEPS]


def first_missing(reached: Sequence[Reached]) -> Finding | None:
    """The next thing to mend; None where all is ready."""
    return next((missing for each in reached if (missing := each.missing)), None)


def page(reached: Sequence[Reached]) -> Group:
    """The steps for people: under each what was found, and what to do about it."""
    parts: list[RenderableType] = []
    for number, each in enumerate(reached, start=1):
        parts.append(Text(f"{number}. {each.step.name}", style="bold"))
        rows = Table.grid(Column(width=13), Column(width=7), Column(), padding=(0, 1), pad_edge=True)
        for finding in each.findings:
            words = Text(finding.detail)
            if finding.fix:
                words.append(f"\n-> {finding.fix}", style="bold" if finding is first_missing(reached) else "")
            rows.add_row(f"  {finding.check}", styled(finding), words)
        parts.append(rows)
    return Group(*parts)


def to_json(reached: Sequence[Reached]) -> list[dict[str, Any]]:
    """The steps for programs."""
    return [{"step": each.step.name, "checks": [finding.to_json() for finding in each.findings]} for each in reached]
