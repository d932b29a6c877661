"""The kit's own managed jobs on SkyPilot's server, for `cortex watch` to list and to cancel."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.clouds.skypilot import managed_jobs, never_used, reaching_skypilot, require_server
from cortex.fleet.watch.job_state import FIELDS

RECENT = 3600.0
"""Seconds after its end for which a job is still watched: as long as EC2 lists a machine that is gone."""


@dataclass(frozen=True)
class KitJob:
    """A managed job that was submitted for a run."""

    run: str
    bucket: str
    number: int
    records: tuple[Any, ...]
    """SkyPilot's records, one a task."""
    programs: tuple[bool, ...]
    """By the task's number: True where it calls `cortex run`."""

    @property
    def ended(self) -> bool:
        return all(record.status.is_terminal() for record in self.records)

    def begun(self) -> float:
        """Time at which the current task could start: the end of the last task that succeeded; 0 for the first task."""
        return max((record.end_at or 0.0 for record in self.records if record.status.value == "SUCCEEDED"), default=0.0)

    def expects_program(self, task: str | None) -> bool:
        """True where a task of this name is one of those that call `cortex run`."""
        ids = [record.task_id or 0 for record in self.records if record.task_name == task]
        return any(number < len(self.programs) and self.programs[number] for number in ids)


class WatchedJobs(Protocol):
    """The functions of SkyPilot's server that the watcher uses."""

    def known(self) -> Sequence[KitJob]:
        """The jobs of runs that are under way, or ended within `RECENT`.

        Raises:
            ConfigError: the server cannot be asked.
        """
        ...

    def cancel(self, number: int) -> None:
        """Cancel a job, which ends its machines; no effect on a job that has ended.

        Raises:
            CortexError: SkyPilot does not accept that.
        """
        ...


class SkyPilotKitJobs:
    """`WatchedJobs` of SkyPilot's server, which is asked only if it runs."""

    def known(self) -> list[KitJob]:
        with reaching_skypilot("ask for the jobs of runs"):
            if never_used():
                return []
            require_server()
            return kit_jobs(managed_jobs((*FIELDS, "user_yaml", "end_at"), finished=True), time.time())

    def cancel(self, number: int) -> None:
        with reaching_skypilot(f"cancel job/{number}"):
            import sky
            from sky import jobs

            sky.get(jobs.cancel(job_ids=[number]))


def kit_jobs(records: Iterable[Any], now: float) -> list[KitJob]:
    """The jobs among SkyPilot's records that are the kit's: their name is that of the run in their RUN_ID."""
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
    """The tasks of a job, from the YAML that was submitted."""
    try:
        found = list(yaml.safe_load_all(text or ""))
    except yaml.YAMLError:
        return []  # a job that the kit did not launch may hold anything
    return [task for task in found if isinstance(task, dict) and "run" in task]


def _variables(document: dict[str, Any]) -> dict[str, str] | None:
    given = document.get("envs")
    wanted = ("RUN_ID", "CORTEX_BUCKET")
    if not isinstance(given, dict) or not all(given.get(name) for name in wanted):
        return None
    return {name: str(given[name]) for name in wanted}
