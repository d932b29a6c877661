"""A run's machines as SkyPilot knows them: its managed jobs, its clusters, its services."""

import time
from contextlib import suppress
from typing import Any

import yaml

from cortex.fleet.clouds.job_names import RUN_TAG, cluster_name, job_name, run_label
from cortex.fleet.clouds.skypilot import managed_jobs, never_used, none_without_controller, reaching_skypilot

END_SECONDS = 1800
"""Most seconds until a cancelled job has ended its machines."""

_STUCK = ("CONTROLLER_FAILED", "FAILED_CLEANUP")
"""SkyServe's statuses of a service that `down` leaves as it is."""


class SkyPilotMachines:
    """Everything that SkyPilot's server runs for a run, named `job/<id>`, `cluster/<name>` or `service/<name>`."""

    def of_run(self, run: str) -> list[str]:
        """Names of all that is there now: what has the run's name or tag, and jobs whose RUN_ID is the run's.

        Raises:
            ConfigError: SkyPilot is not installed, or its server cannot be asked.
        """
        with reaching_skypilot(f"look for machines of {run}"):
            if never_used():
                return []
            return [*_jobs(run), *_services(run), *_clusters(run)]

    def destroy(self, name: str) -> None:
        """End a job, cluster or service, and return once its machines have ended; no error if it is gone already.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: SkyPilot could not end it.
        """
        kind, _, which = name.partition("/")
        with reaching_skypilot(f"destroy {name}"):
            {"job": _end_job, "cluster": _end_cluster, "service": _end_service}[kind](which)


def _jobs(run: str) -> list[str]:
    found = managed_jobs(("job_id", "job_name", "status", "user_yaml"), finished=False)
    # A chain of tasks is one job, with one record a task.
    return list(
        dict.fromkeys(
            f"job/{record.job_id}"
            for record in found
            if record.job_name == job_name(run) or run in run_ids(record.user_yaml)
        )
    )


def run_ids(text: str | None) -> set[str]:
    """The RUN_ID of each task of a job or a service, from the YAML that was submitted."""
    try:
        tasks = list(yaml.safe_load_all(text or ""))
    except yaml.YAMLError:
        # A job that the kit did not launch may hold anything.
        return set()
    variables = [task.get("envs") for task in tasks if isinstance(task, dict)]
    return {str(values["RUN_ID"]) for values in variables if isinstance(values, dict) and "RUN_ID" in values}


def _clusters(run: str) -> list[str]:
    import sky

    found = sky.get(sky.status(all_users=True))
    return [
        f"cluster/{record.name}"
        for record in found
        if record.name == cluster_name(run) or (record.labels or {}).get(RUN_TAG) == run_label(run)
    ]


def services() -> list[dict[str, Any]]:
    """SkyServe's record of each service; none where its controller does not run."""
    import sky
    from sky import serve

    try:
        return sky.get(serve.status(None))
    except sky.exceptions.ClusterNotUpError as error:
        return none_without_controller(error)


def _services(run: str) -> list[str]:
    """The run's services: by their name, or by the run whose release they serve."""
    return [
        f"service/{record['name']}"
        for record in services()
        if record["name"] == cluster_name(run) or run in run_ids(record.get("yaml_content"))
    ]


def _end_job(number: str) -> None:
    import sky
    from sky import jobs

    job = int(number)
    sky.get(jobs.cancel(job_ids=[job]))
    # A cancelled job still has its machines; SkyPilot ends them before the job reaches its final state.
    sky.get(jobs.wait(job_id=job, timeout=END_SECONDS, poll_interval=5))


def _end_cluster(name: str) -> None:
    import sky

    with suppress(sky.exceptions.ClusterDoesNotExist):
        sky.get(sky.down(name))


def _end_service(name: str) -> None:
    import sky
    from sky import serve

    sky.get(serve.down(name))
    deadline = time.monotonic() + END_SECONDS
    while record := next((record for record in services() if record["name"] == name), None):
        if record["status"].value in _STUCK:
            raise RuntimeError(
                f"the service is {record['status'].value}, and SkyServe ends no such service by itself: see in the "
                f"cloud's console that its machines are gone, then `.venv/bin/sky serve down {name} --purge`"
            )
        if time.monotonic() > deadline:
            raise TimeoutError(f"it is still shutting down after {END_SECONDS} s: look with `sky serve status`")
        time.sleep(5)
