"""Submission of SkyPilot's managed jobs, and start of its clusters."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from cortex.fleet.clouds.access import clouds_with_identity_setting
from cortex.fleet.clouds.run_machines import SkyPilotMachines
from cortex.fleet.clouds.skypilot import reaching_skypilot
from cortex.fleet.clouds.task_clouds import goes_to
from cortex.fleet.home.teardown import Machines
from cortex.fleet.tasks.run_tasks import dump


class Jobs(Machines, Protocol):
    """The service that runs are submitted to and found at."""

    def submit(
        self, documents: Sequence[dict[str, Any]], name: str, secrets: Mapping[str, str], identity: str | None = None
    ) -> int:
        """Submit a chain of tasks as one managed job, and return its number.

        Its machines in AWS get the instance profile `identity`, where one is given.
        """
        ...


class SkyPilotJobs(SkyPilotMachines):
    """`Jobs` of SkyPilot's server, which SkyPilot starts on this machine if no other is configured."""

    def submit(
        self, documents: Sequence[dict[str, Any]], name: str, secrets: Mapping[str, str], identity: str | None = None
    ) -> int:
        """Submit, with SkyPilot's own progress on the terminal.

        Secrets appear in no log and in no output of SkyPilot. Its jobs database, on its server's machine, keeps them
        for machines that replace preempted ones.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: it does not accept the job.
        """
        with reaching_skypilot(f"launch {name}"):
            import sky
            from sky import jobs
            from sky.utils.dag_utils import load_chain_dag_from_yaml_str

            dag = load_chain_dag_from_yaml_str(dump(documents, name))
            set_secrets(dag.tasks, documents, secrets)
            with launch_configuration(identity, documents):
                numbers, _ = sky.stream_and_get(jobs.launch(dag, name=name, job_group=None))
            assert numbers, "it gave the job no number"
            return numbers[0]

    def start_cluster(self, document: dict[str, Any], name: str, secrets: Mapping[str, str]) -> int | None:
        """Start a cluster, or use it if it is up, and submit the task there; return the task's number there.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: the cluster cannot be started.
        """
        with reaching_skypilot(f"start {name}"):
            import sky

            task = sky.Task.from_yaml_config(dict(document))
            set_secrets([task], [document], secrets)
            with launch_configuration(None, [document]):
                number, _ = sky.stream_and_get(sky.launch(task, cluster_name=name))
            return number


@contextmanager
def launch_configuration(identity: str | None, documents: Sequence[Mapping[str, Any]]) -> Generator[None]:
    """Within this context, submit with this instance profile in AWS, and without credential files of unused clouds.

    A task cannot say so: SkyPilot reads both from its configuration. A job keeps the configuration of its submission,
    so machines that replace preempted ones follow it, too.
    """
    from sky import skypilot_config

    config = skypilot_config.to_dict()
    before = config.get_nested(("aws", "remote_identity"), None)
    # SkyPilot copies the credential files of every cloud to each machine, unless told not to.
    for cloud in _unused_clouds(documents):
        config.set_nested((cloud, "remote_identity"), "NO_UPLOAD")
    if identity and goes_to(documents, "aws"):
        # Controllers start machines and need wider rights, so the configuration's rules for them stay.
        others = [rule for rule in before if "*" not in rule] if isinstance(before, list) else []
        config.set_nested(("aws", "remote_identity"), [*others, {"*": identity}])
    with skypilot_config.replace_skypilot_config_in_process(config):
        yield


def _unused_clouds(documents: Sequence[Mapping[str, Any]]) -> set[str]:
    """Clouds that no task uses, among those whose credential files SkyPilot can be told not to copy."""
    # SkyPilot reads Kubernetes's setting for pools of SSH machines, too.
    pools = {"kubernetes", "ssh"}
    own = pools if any(goes_to(documents, cloud) for cloud in pools) else set[str]()
    return {cloud for cloud in clouds_with_identity_setting() - own if not goes_to(documents, cloud)}


def set_secrets(tasks: Sequence[Any], documents: Sequence[dict[str, Any]], secrets: Mapping[str, str]) -> None:
    """Give SkyPilot's tasks the values of the secrets that their documents name."""
    for task, document in zip(tasks, documents, strict=True):
        task.update_secrets({key: secrets[key] for key in document.get("secrets") or {} if key in secrets})
