"""The steps from nothing to a first launch, in the order to do them, and which of them this machine has done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cortex.fleet.preflight import builder_check
from cortex.fleet.preflight.all_checks import CHECKS, Check, ask_all
from cortex.fleet.preflight.finding import Finding, styled
from cortex.fleet.preflight.ground import Document, Ground
from cortex.profiles.profile import Profile
from cortex.settings import Settings


@dataclass(frozen=True)
class Step:
    """One step: a group of checks that must pass before the next step makes sense."""

    name: str
    checks: tuple[Check, ...]


_KNOWN = {check.name: check for check in (*CHECKS, Check(builder_check.NAME, builder_check.check))}
"""Preflight's checks, and the check of the image builder, which a launch itself does not need."""


def _step(name: str, *checks: str) -> Step:
    return Step(name, tuple(_KNOWN[check] for check in checks))


STEPS: tuple[Step, ...] = (
    _step("this machine's programs", "tools", "docker"),
    _step("an account", "credentials", "clock"),
    # Early in the list: the cloud may take days to grant a quota.
    _step("room for its machines", "quota", "spot"),
    _step("the ground", "stack", "bucket", "elsewhere"),
    _step("SkyPilot", "clouds", "machines"),
    _step("images", "domain", "images"),
    _step("keys", "keys", "model", "distillation", "tracking"),
    _step("the profile", "memory", "disk", "budget", "deadline"),
)
"""The steps, in the order to do them. They contain preflight's checks, each in the step where a newcomer needs it."""


@dataclass(frozen=True)
class Reached:
    """A step and the findings of its checks."""

    step: Step
    findings: tuple[Finding, ...]

    @property
    def missing(self) -> Finding | None:
        """The first failed finding; None where none failed."""
        return next((finding for finding in self.findings if finding.ok is False), None)


def examine(profile: Profile, settings: Settings, documents: Sequence[Document]) -> list[Reached]:
    """Run the checks of all steps at the same time, as preflight does; `documents` are the tasks of a launch."""
    # Imported before the checks' threads start: several that import parts of it at once would find it half loaded.
    import sky

    assert sky
    checks = [check for step in STEPS for check in step.checks]
    found = iter(ask_all(Ground(profile, None, settings, documents), checks, settings.preflight_seconds))
    return [Reached(step, tuple(next(found) for _ in step.checks)) for step in STEPS]


def first_missing(reached: Sequence[Reached]) -> Finding | None:
    """The first failed finding, which is the next to mend; None where all is ready."""
    return next((missing for each in reached if (missing := each.missing)), None)


def page(reached: Sequence[Reached]) -> Group:
    """The steps for the terminal, each with its findings and their fixes."""
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
    """The steps as JSON, for programs."""
    return [{"step": each.step.name, "checks": [finding.to_json() for finding in each.findings]} for each in reached]
