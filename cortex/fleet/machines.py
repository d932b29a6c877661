"""A run's machines as SkyPilot knows them: its managed jobs, its clusters, its services."""

import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from cortex.errors import ConfigError, CortexError
from cortex.fleet.names import RUN_TAG, cluster_name, job_name, run_label

END_SECONDS = 1800
"""How long a cancelled job may take to give its machines back."""


class SkyPilotMachines:
    """What SkyPilot's server runs for a run, by names of ours: `job/<id>`, `cluster/<name>`, `service/<name>`."""

    def of_run(self, run: str) -> list[str]:
        """What is there now: what bears the run's name or tag, and the jobs whose RUN_ID it is.

        Raises:
            ConfigError: SkyPilot is not installed, or its server cannot be asked.
        """
        with _answering(f"look for machines of {run}"):
            if _never_used():
                return []
            return [*_jobs(run), *_services(cluster_name(run)), *_clusters(run)]

    def destroy(self, name: str) -> None:
        """End one, and return once its machines are given back; what is gone already is no error.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: it could not destroy it.
        """
        kind, _, which = name.partition("/")
        with _answering(f"destroy {name}"):
            {"job": _end_job, "cluster": _end_cluster, "service": _end_service}[kind](which)


def _jobs(run: str) -> list[str]:
    import sky
    from sky import jobs

    fields = ("job_id", "job_name", "status", "user_yaml")
    try:
        found = sky.get(jobs.queue_v2(refresh=False, skip_finished=True, all_users=True, fields=fields))
    except sky.exceptions.ClusterNotUpError as error:
        return _none_without_controller(error)
    # A chain of tasks is one job, and a record a task.
    return list(
        dict.fromkeys(
            f"job/{record.job_id}"
            for record in found[0]
            if record.job_name == job_name(run) or run in _run_ids(record.user_yaml)
        )
    )


def _run_ids(text: str | None) -> set[str]:
    """The RUN_ID of each task of a job, as it was submitted."""
    try:
        tasks = list(yaml.safe_load_all(text or ""))
    except yaml.YAMLError:
        # What was never launched from here need not be ours to read.
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


def _services(name: str) -> list[str]:
    import sky
    from sky import serve

    try:
        found = sky.get(serve.status(None))
    except sky.exceptions.ClusterNotUpError as error:
        return _none_without_controller(error)
    return [f"service/{record['name']}" for record in found if record["name"] == name]


def _none_without_controller(error: Any) -> list[str]:
    """Nothing is there where SkyPilot's controller is not, or has stopped, which it does once it is idle."""
    import sky

    if error.cluster_status in (None, sky.ClusterStatus.STOPPED):
        return []
    raise error


def _end_job(number: str) -> None:
    import sky
    from sky import jobs

    job = int(number)
    sky.get(jobs.cancel(job_ids=[job]))
    # A cancelled job still has its machines; they are given back before its last state.
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
    while f"service/{name}" in _services(name):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it is still shutting down after {END_SECONDS} s: look with `sky serve status`")
        time.sleep(5)


def _never_used() -> bool:
    """Whether no SkyPilot server was ever started here, and no other is named: then nothing was launched from here."""
    from sky.server import common
    from sky.skylet import constants, runtime_utils

    return (
        common.is_api_server_local() and not Path(runtime_utils.expanduser(constants.API_SERVER_LOGS)).parent.exists()
    )


@contextmanager
def _answering(what: str) -> Generator[None]:
    """Turn SkyPilot's errors into ours."""
    try:
        from sky import exceptions
    except ImportError as error:
        raise ConfigError(f"cannot {what}: SkyPilot is not installed here ({error}): run `make setup`") from error
    try:
        yield
    except exceptions.ApiServerConnectionError as error:
        fix = "start it, or name another with `sky api login`"
        raise ConfigError(f"cannot {what}: SkyPilot's server {_server()} does not answer: {fix}") from error
    except exceptions.APIVersionMismatchError as error:
        raise ConfigError(
            f"cannot {what}: SkyPilot's server {_server()} is of another version: {_plain(error)}"
        ) from error
    except exceptions.ApiServerAuthenticationError as error:
        raise ConfigError(f"cannot {what}: {_plain(error)}") from error
    except Exception as error:
        # SkyPilot's errors have no base of their own, and what its server raised comes back as any class.
        fix = "once that is mended, the same command goes on"
        raise CortexError(f"cannot {what}: SkyPilot says: {_plain(error)}; {fix}") from error


def _server() -> str:
    from sky.server import common

    return common.redact_url_password(common.get_server_url())


def _plain(error: Exception) -> str:
    """SkyPilot's words without their colours; the class says more where there are none."""
    return Text.from_ansi(str(error)).plain.rstrip(". ") or type(error).__name__
