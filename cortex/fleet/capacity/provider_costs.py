"""Hours and dollars of a profile's phases at several providers, from its capacity plan and a list of prices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cortex.errors import ConfigError
from cortex.fleet.capacity.capacity_plan import CapacityPlan, plan_capacity
from cortex.profiles.profile import Profile, first_problem, with_overrides
from cortex.section import Items, Section
from cortex.settings import Settings
from cortex.yaml_reader import read_yaml


class ProviderOffer(Section):
    """A machine of a provider."""

    provider: str
    accelerator: str
    """The GPU by SkyPilot's name."""
    gpus: int = Field(default=8, ge=1)
    """GPUs of the machine."""
    dollars: float = Field(ge=0)
    """Price of the machine, an hour."""
    credits: float = Field(default=0.0, ge=0)
    """Dollars that the provider grants, taken off the total."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Keys of the profile that this machine needs otherwise, such as an optimizer of less memory."""

    @property
    def name(self) -> str:
        return f"{self.provider}, {self.gpus} x {self.accelerator}"


class _Offers(Section):
    offers: Items[ProviderOffer] = Field(min_length=1)


@dataclass(frozen=True)
class ProviderCost:
    """The plan of a profile on one provider's machine."""

    offer: ProviderOffer
    hours: Mapping[str, float]
    """Hours of each row: a phase of pretraining with its checkpoints' share, or another stage."""
    misfit: str | None
    """Reason why the profile does not fit on this machine."""

    @property
    def dollars(self) -> float:
        """Total, less the credits."""
        return max(0.0, sum(self.hours.values()) * self.offer.dollars - self.offer.credits)


def read_offers(path: Path) -> Sequence[ProviderOffer]:
    """The offers of a YAML file.

    Raises:
        ConfigError: it cannot be read, or an offer is wrong.
    """
    try:
        return _Offers.model_validate(read_yaml(path)).offers
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there: name a list of prices, such as jobs/prices/providers.yaml") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)}") from error


def provider_costs(profile: Profile, offers: Sequence[ProviderOffer], settings: Settings) -> list[ProviderCost]:
    """The costs at each provider, by closed forms: a trace of each machine would take minutes.

    Raises:
        ConfigError: a GPU's data sheet is not known, or the profile is not valid on a machine.
    """
    return [_cost(profile, offer, settings) for offer in offers]


def cost_table(costs: Sequence[ProviderCost]) -> str:
    """A table in Markdown: a row a phase, with the hours and dollars at each provider."""
    rows = list(dict.fromkeys(row for cost in costs for row in cost.hours))
    lines = [
        _line("phase", (cost.offer.name for cost in costs)),
        _line("---", ("---:" for _ in costs)),
        *(_line(row, (_cell(cost, cost.hours.get(row, 0.0)) for cost in costs)) for row in rows),
        _line("**in all**", map(_total, costs)),
    ]
    return "\n".join(lines) + "\n"


def _line(first: str, cells: Iterable[str]) -> str:
    return "| " + " | ".join((first, *cells)) + " |"


def _cost(profile: Profile, offer: ProviderOffer, settings: Settings) -> ProviderCost:
    hardware = {"hardware.accelerator": offer.accelerator, "hardware.gpus": offer.gpus, "hardware.nodes": 1}
    plan = plan_capacity(with_overrides(profile, hardware | offer.set), settings, tracing="never")
    return ProviderCost(offer, _hours(plan), str(plan.misfits[0].phase.stage) if plan.misfits else None)


def _hours(plan: CapacityPlan) -> dict[str, float]:
    """Hours by row. Loads and checkpoints of pretraining are its phases', by their share of the steps' time."""
    found: dict[str, float] = {}
    for phase in plan.phases:
        row = f"{phase.stage}: {phase.name.partition(' ')[2]}" if phase.stage == "pretrain" else phase.stage
        if phase.stage != "pretrain" or phase.kind == "step":
            found[row] = found.get(row, 0.0) + phase.seconds / 3600
    pretraining = [row for row in found if row.startswith("pretrain: ")]
    steps = sum(found[row] for row in pretraining)
    beside = sum(phase.seconds / 3600 for phase in plan.phases if phase.stage == "pretrain" and phase.kind != "step")
    return {row: hours * (1 + beside / steps) if row in pretraining else hours for row, hours in found.items()}


def _cell(cost: ProviderCost, hours: float) -> str:
    return f"{hours:,.1f} h, ${hours * cost.offer.dollars:,.0f}"


def _total(cost: ProviderCost) -> str:
    words = f"**{sum(cost.hours.values()):,.0f} h, ${cost.dollars:,.0f}**"
    if cost.offer.credits:
        words += f" after ${cost.offer.credits:,.0f} of credits"
    return words + (f"; {cost.misfit} does not fit" if cost.misfit else "")
