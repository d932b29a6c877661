"""The kit's own managed jobs on SkyPilot's server, as `cortex watch` asks for them and cancels them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from cortex.fleet.job_state import FIELDS
from cortex.fleet.names import job_name
from cortex.fleet.skypilot import answering, managed_jobs, never_used, require_server

RECENT = 3600.0
"""Seconds after its end for which a job is still of interest: as long as EC2 tells of a machine that is gone."""


@dataclass(frozen=True)
class KitJob:
    """A managed job that was submitted for a run."""

    run: str
    bucket: str
    number: int
    records: tuple[Any, ...]
    """SkyPilot's, one a task."""
    programs: tuple[bool, ...]
    """Of each task, by its number: whether it calls `cortex run`."""

    @property
    def ended(self) -> bool:
        return all(record.status.is_terminal() for record in self.records)

    def begun(self) -> float:
        """When the task under way could begin: when the newest of those that succeeded had ended; 0 for the first."""
        return max((record.end_at or 0.0 for record in self.records if record.status.value == "SUCCEEDED"), default=0.0)

    def expects_program(self, task: str | None) -> bool:
        """True where a task of this name is one of those that call `cortex run`."""
        ids = [record.task_id or 0 for record in self.records if record.task_name == task]
        return any(number < len(self.programs) and self.programs[number] for number in ids)


class WatchedJobs(Protocol):
    """SkyPilot's server, as far as it is needed here."""

    def known(self) -> Sequence[KitJob]:
        """The jobs of runs that go on, or have ended lately.

        Raises:
            ConfigError: the server cannot be asked.
        """
        ...

    def cancel(self, number: int) -> None:
        """Have a job cancelled, which gives its machines back; cancelling one that has ended changes nothing.

        Raises:
            CortexError: SkyPilot does not take it.
        """
        ...


class SkyPilotKitJobs:
    """`WatchedJobs` of SkyPilot's server; none is started to ask it."""

    def known(self) -> list[KitJob]:
        with answering("ask for the jobs of runs"):
            if never_used():
                return []
            require_server()
            return kit_jobs(managed_jobs((*FIELDS, "user_yaml", "end_at"), finished=True), time.time())

    def cancel(self, number: int) -> None:
        with answering(f"cancel job/{number}"):
            import sky
            from sky import jobs

            sky.get(jobs.cancel(job_ids=[number]))


def kit_jobs(records: Iterable[Any], now: float) -> list[KitJob]:
    """Those among SkyPilot's records that bear the name of the run whose RUN_ID they carry."""
    by_number: dict[int, list[Any]] = {}
    for record in records:
        by_number.setdefault(record.job_id, []).append(record)
    found = list[KitJob]()
    for number, tasks in by_number.items():
        ended = all(task.status.is_terminal() for task in tasks)
        if ended and now - max(task.end_at or task.submitted_at or 0.0 for task in tasks) > RECENT:
            continue
        documents = _documents(next((task.user_yaml for task in tasks if task.user_yaml), None))
        variables = next((given for document in documents if (given := _variables(document))), None)
        if variables and tasks[0].job_name == job_name(variables["RUN_ID"]):
            programs = tuple("cortex run" in str(document.get("run")) for document in documents)
            found.append(KitJob(variables["RUN_ID"], variables["CORTEX_BUCKET"], number, tuple(tasks), programs))
    return found


def _documents(text: str | None) -> list[dict[str, Any]]:
    """The tasks of a job, as they were submitted."""
    try:
        found = list(yaml.safe_load_all(text or ""))
    except yaml.YAMLError:
        return []  # what was not launched by the kit need not be ours to read
    return [task for task in found if isinstance(task, dict) and "run" in task]


def _variables(document: dict[str, Any]) -> dict[str, str] | None:
    given = document.get("envs")
    wanted = ("RUN_ID", "CORTEX_BUCKET")
    if not isinstance(given, dict) or not all(given.get(name) for name in wanted):
        return None
    return {name: str(given[name]) for name in wanted}
