"""The machines of a task by the run's way of renting: as its file says, spot before on demand, or on demand alone."""

from collections.abc import Mapping
from typing import Any, Literal

from cortex.fleet.clouds.task_clouds import GROUPS
from cortex.fleet.tasks.alternatives import kind_of

Renting = Literal["as written", "spot first", "on demand"]


def apply_renting(resources: Mapping[str, Any], accelerator: str, renting: Renting) -> dict[str, Any]:
    """A task's `resources` as `ordered`: each machine on spot, then each on demand; or on demand alone.

    SkyPilot starts at the top of the list whenever it recovers the job. Only the profile's own kind of GPU is kept,
    because the work's duration is known for that kind alone. `max_hourly_cost` is a limit for the file's spot machines,
    and is not applied to machines on demand. A file that asks for machines on demand stays unchanged.
    """
    found = [dict(entry) for name in GROUPS for entry in resources.get(name, ())] or [{}]
    # A cloud may have no spot machines, so `use_spot` is read from each alternative.
    on_spot = [bool(entry.get("use_spot", resources.get("use_spot"))) for entry in found]
    if renting == "as written" or not any(on_spot):
        return dict(resources)
    common = {key: value for key, value in resources.items() if key not in (*GROUPS, "use_spot", "max_hourly_cost")}
    own = [entry for entry in found if kind_of(entry.get("accelerators", common.get("accelerators"))) == accelerator]
    limit = {"max_hourly_cost": resources["max_hourly_cost"]} if "max_hourly_cost" in resources else {}
    sold = [entry for entry, asked in zip(found, on_spot, strict=True) if asked and (not own or entry in own)]
    spot = [{**limit, **entry, "use_spot": True} for entry in sold]
    on_demand = [{**_unlimited(entry), "use_spot": False} for entry in own or found]
    return {**common, "ordered": on_demand if renting == "on demand" else spot + on_demand}


def _unlimited(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "max_hourly_cost"}
