"""Plan of a launch, shown before it starts: tasks, machines and their prices, budget, bucket, images, secrets."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from cortex.console import Console
from cortex.errors import ConfigError, CortexError
from cortex.fleet.clouds.abilities import describe_limits, has_spot
from cortex.fleet.clouds.access import files_taken_along
from cortex.fleet.clouds.catalog import offers
from cortex.fleet.clouds.job_names import OWNER_TAG
from cortex.fleet.clouds.skypilot import has_remote_server
from cortex.fleet.clouds.task_clouds import goes_to
from cortex.fleet.tasks.bucket_keys import KEY_NAMES
from cortex.fleet.tasks.run_tasks import secrets, stages
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Budget
from cortex.runs.deadline_standing import Deadline
from cortex.runs.pipeline import container_of
from cortex.runs.price_list import Offer

SHOWN = 3
"""Most machine types shown for a task, the cheapest; the task may also get dearer ones."""

_IN_ITS_SERVER = ("jobs", "controller", "consolidation_mode")
"""Key of SkyPilot's configuration that makes its server the jobs' controller, too."""

_NEXT_LINE = "\n" + " " * 9


@dataclass(frozen=True)
class PlannedTask:
    """One task: its stages, and the machines that it may run on."""

    name: str
    stages: tuple[str, ...]
    image: str
    offers: tuple[Offer, ...]
    """Offers that fit the task, the cheapest first; each is for one machine."""
    other: tuple[Offer, ...]
    """The on-demand offers where the task asks for spot, the spot offers where it does not; empty where none exist."""
    nodes: int = 1
    """Machines that the task uses at once."""


@dataclass(frozen=True)
class Plan:
    """Plan of one launch: of a run, or of another task, such as a rented machine."""

    title: str
    bucket: str
    budget: float | None
    """Dollars for the whole run; None for other tasks."""
    tasks: tuple[PlannedTask, ...]
    secrets: Mapping[str, bool]
    """By name: True where it is set here."""
    owner: str
    wall: str | None
    """Limit at which failing launches are given up, in words; None for other tasks."""
    expected: str
    """Estimated time and cost; for a rented machine, when it shuts down."""
    deadline: str = ""
    """The deadline, and the kind of machines that meets it, in words; empty without a deadline."""
    limits: tuple[str, ...] = ()
    """Features that these clouds lack, and facts about them that the kit cannot find out."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All machines that any task may get."""
        return tuple(dict.fromkeys(offer for task in self.tasks for offer in task.offers))

    def print(self, console: Console) -> None:
        """Print the plan as a table and some lines."""
        table = Table("task", "stages", "machine", "GPUs", "spot $/h", "on demand $/h", "cheapest in")
        for task in self.tasks:
            names = (task.name, " ".join(task.stages))
            for row in _rows(task):
                table.add_row(*names, *row)
                names = ("", "")
            table.add_section()
        console.print(self.title, soft_wrap=True)
        console.print(table)
        for name, value in self._facts().items():
            console.print(f"{name:<9}{value}", soft_wrap=True)

    def _facts(self) -> dict[str, str]:
        budget = f"${self.budget:,.2f} for the whole run, checked on the machine each minute" if self.budget else "none"
        given = [f"{name} {'set' if known else 'NOT SET'}" for name, known in self.secrets.items()]
        images = dict.fromkeys(task.image for task in self.tasks if task.image)
        return {
            "expected": self.expected,
            **({"deadline": self.deadline} if self.deadline else {}),
            "budget": budget,
            **({"launches": self.wall} if self.wall else {}),
            "bucket": self.bucket,
            "images": _NEXT_LINE.join(images) or "none: bare machines",
            "secrets": ", ".join(given) or "none",
            "owner": self.owner,
            **({"limits": _NEXT_LINE.join(self.limits)} if self.limits else {}),
        }


def make_plan(
    title: str,
    documents: list[dict[str, Any]],
    bucket: str,
    environment: Mapping[str, str],
    *,
    where: Path,
    profile: Profile | None = None,
    budget: float | None = None,
    deadline: Deadline | None = None,
) -> Plan:
    """Plan the launch of tasks from `resolve` or `resolve_job`.

    `where` is the tasks' file, for error messages. `budget` overrides the profile's.

    Raises:
        ConfigError: SkyPilot's catalog is not here, or has no machine for a task.
    """
    planned = tuple(_planned(document, where) for document in documents)
    clouds = {offer.cloud for task in planned for offer in task.offers}
    return Plan(
        title=title,
        bucket=bucket,
        budget=profile.budget.dollars if profile and budget is None else budget,
        tasks=planned,
        secrets={name: bool(environment.get(name)) for name in secrets(documents)},
        owner=next((str(document["resources"]["labels"][OWNER_TAG]) for document in documents), ""),
        wall=describe_wall(profile.budget, clouds) if profile else None,
        expected=_expected(profile, documents, deadline) if profile else _describe_end(documents),
        deadline=_describe_deadline(deadline, clouds) if deadline else "",
        limits=(
            *_local_skypilot_limits(documents, profile is not None),
            *describe_limits(
                clouds,
                spot=any(offer.spot for task in planned for offer in task.offers),
                dearest=max((offer.dollars_per_hour for task in planned for offer in task.offers), default=0.0),
                keys=not set(KEY_NAMES).isdisjoint(secrets(documents)),
                is_run=profile is not None,
                deadline=deadline is not None,
            ),
        ),
    )


def _local_skypilot_limits(documents: list[dict[str, Any]], is_run: bool) -> Iterable[str]:
    """Limits of a SkyPilot server on this machine; a stack's server has the keys and settings of its stack."""
    from sky import skypilot_config

    if has_remote_server():
        return
    files = files_taken_along(documents)
    if files:
        named = ", ".join(files)
        yield f"SkyPilot copies {named} to these machines, and cannot be told not to: move away what they must not hold"
    if is_run and not goes_to(documents, "aws") and not skypilot_config.get_nested(_IN_ITS_SERVER, False):
        yield (
            "the jobs' controller takes a machine of its own, which costs, too, and which some clouds cannot be: "
            "`jobs: {controller: {consolidation_mode: true}}` in ~/.sky/config.yaml runs it here"
        )


def _describe_deadline(deadline: Deadline, clouds: set[str]) -> str:
    """A deadline and the kind of machines that are used to meet it, in words."""
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(deadline.at))
    means = "on spot, and on demand where there is none" if deadline.spot else "on demand: too little slack for spot"
    if not any(has_spot(cloud) for cloud in clouds):
        means = f"on demand: SkyPilot has no spot machines on {' or '.join(sorted(clouds))}"
    return (
        f"{moment}, {deadline.hours:g} h from the launch; {deadline.need(()) / 3600:.1f} h of work and starts in all; "
        f"{means}; the cap of dollars stops it all the same"
    )


def describe_wall(budget: Budget, clouds: set[str]) -> str:
    """The limit at which failing launches are given up, and the clouds where nobody counts them, in words."""
    count, dollars = budget.failed_launches, budget.failed_dollars
    walls = [f"after {count} in a row"] if count is not None else []
    walls += [f"at ${dollars:,.2f}"] if dollars is not None else []
    elsewhere = sorted(clouds - {"aws"})
    if elsewhere == sorted(clouds):
        walls = []
    failing = f"given up {' or '.join(walls)} without a sign of life" if walls else "tried again without end"
    return failing + (f"; nobody counts them on {', '.join(elsewhere)}" if elsewhere else "")


def _describe_end(documents: list[dict[str, Any]]) -> str:
    """The end of a task that is no run, in words: by its `autostop`, or none."""
    if all(document["resources"].get("autostop") for document in documents):
        return "it ends itself when it is idle, as `autostop` in its file says"
    return "its file has no `autostop`: it stays, and costs, until you end it"


def _expected(profile: Profile, documents: list[dict[str, Any]], deadline: Deadline | None) -> str:
    """Estimated hours and dollars (median and 90th percentile of the simulations) for each way to rent."""
    from cortex.fleet.estimate import estimate_run
    from cortex.fleet.estimate.training_prices import training_offers

    try:
        hours = deadline.hours if deadline else None
        found = estimate_run(profile, training_offers(profile, documents), deadline_hours=hours)
    except CortexError as error:
        return f"no estimate: {error}"
    return _NEXT_LINE.join(
        f"{policy.policy}: {policy.hours.p50:.0f} to {policy.hours.p90:.0f} h, ${policy.dollars.p50:,.0f} to "
        f"${policy.dollars.p90:,.0f}{f', {policy.late:.0%} late' if deadline else ''}"
        for policy in found.policies
    )


def _planned(document: dict[str, Any], where: Path) -> PlannedTask:
    asked = offers(document)
    return PlannedTask(
        name=str(document.get("name")),
        stages=tuple(stages(document, where)),
        image=(container_of(document["resources"].get("image_id")) or "").removeprefix("docker:"),
        offers=asked,
        other=_other(document, spot=not asked[0].spot),
        nodes=document.get("num_nodes", 1),
    )


def _other(document: dict[str, Any], *, spot: bool) -> tuple[Offer, ...]:
    """Offers of the kind, spot or on demand, that the task does not ask for; only for comparison, so may be empty."""
    try:
        return offers(document, spot=spot)
    except ConfigError:
        return ()


def _rows(task: PlannedTask) -> Iterable[tuple[str, str, str, str, str]]:
    """The cheapest place of each machine type, the cheapest type first."""
    best: dict[tuple[str, str], Offer] = {}
    for offer in task.offers:
        best.setdefault((offer.cloud, offer.instance_type), offer)
    for offer in list(best.values())[:SHOWN]:
        same = (
            other for other in task.other if (other.cloud, other.instance_type) == (offer.cloud, offer.instance_type)
        )
        other = next(same, None)
        prices = [f"{found.dollars_per_hour * task.nodes:.2f}" if found else "-" for found in (offer, other)]
        spot, on_demand = prices if offer.spot else reversed(prices)
        machine = f"{f'{task.nodes} x ' if task.nodes > 1 else ''}{offer.cloud} {offer.instance_type}"
        yield machine, offer.accelerators or "", spot, on_demand, offer.region
    if len(best) > SHOWN:
        yield f"and {len(best) - SHOWN} more", "", "", "", ""
