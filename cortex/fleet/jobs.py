"""SkyPilot's managed jobs and clusters, as launching needs them."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from cortex.fleet.access import withholdable
from cortex.fleet.elsewhere import goes_to
from cortex.fleet.machines import SkyPilotMachines
from cortex.fleet.skypilot import answering
from cortex.fleet.tasks import dump
from cortex.fleet.teardown import Machines


class Jobs(Machines, Protocol):
    """Where runs are submitted to, and found again."""

    def submit(
        self, documents: Sequence[dict[str, Any]], name: str, secrets: Mapping[str, str], identity: str | None = None
    ) -> int:
        """Submit a chain of tasks as one managed job, and return its number.

        Its machines in AWS carry `identity`, an instance profile, where one is given.
        """
        ...


class SkyPilotJobs(SkyPilotMachines):
    """`Jobs` of SkyPilot's server, which is started here if no other is named."""

    def submit(
        self, documents: Sequence[dict[str, Any]], name: str, secrets: Mapping[str, str], identity: str | None = None
    ) -> int:
        """Submit, with SkyPilot's own progress on the terminal.

        Secrets are in no log and nothing that SkyPilot shows; its database of jobs holds them, on its server's machine,
        for the machines that replace the first ones.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: it does not take the job.
        """
        with answering(f"launch {name}"):
            import sky
            from sky import jobs
            from sky.utils.dag_utils import load_chain_dag_from_yaml_str

            dag = load_chain_dag_from_yaml_str(dump(documents, name))
            _hand_over(dag.tasks, documents, secrets)
            with _carrying(identity, documents):
                numbers, _ = sky.stream_and_get(jobs.launch(dag, name=name, job_group=None))
            assert numbers, "it gave the job no number"
            return numbers[0]

    def start_cluster(self, document: dict[str, Any], name: str, secrets: Mapping[str, str]) -> int | None:
        """Start a cluster, or use it if it is up, and submit the task there; return the number it has there.

        Raises:
            ConfigError: SkyPilot's server cannot be asked.
            CortexError: the cluster cannot be had.
        """
        with answering(f"start {name}"):
            import sky

            task = sky.Task.from_yaml_config(dict(document))
            _hand_over([task], [document], secrets)
            with _carrying(None, [document]):
                number, _ = sky.stream_and_get(sky.launch(task, cluster_name=name))
            return number


@contextmanager
def _carrying(identity: str | None, documents: Sequence[Mapping[str, Any]]) -> Generator[None]:
    """Have what is submitted started with this instance profile in AWS, and without this machine's keys for clouds that
    it does not go to.

    A task cannot say so: SkyPilot takes it from its configuration, of which the job keeps what holds now, for machines
    that replace its first ones, too.
    """
    from sky import skypilot_config

    config = skypilot_config.to_dict()
    before = config.get_nested(("aws", "remote_identity"), None)
    # SkyPilot copies the files of keys of every cloud to each machine, unless told not to.
    for cloud in _not_gone_to(documents):
        config.set_nested((cloud, "remote_identity"), "NO_UPLOAD")
    if identity and goes_to(documents, "aws"):
        # Controllers start machines, so they need more: what the configuration says of them stays.
        others = [rule for rule in before if "*" not in rule] if isinstance(before, list) else []
        config.set_nested(("aws", "remote_identity"), [*others, {"*": identity}])
    with skypilot_config.replace_skypilot_config_in_process(config):
        yield


def _not_gone_to(documents: Sequence[Mapping[str, Any]]) -> set[str]:
    """Clouds that no task may be given a machine of, of those whose keys SkyPilot can be told to keep here."""
    # What holds for Kubernetes is read for a pool of SSH machines, too.
    pools = {"kubernetes", "ssh"}
    own = pools if any(goes_to(documents, cloud) for cloud in pools) else set[str]()
    return {cloud for cloud in withholdable() - own if not goes_to(documents, cloud)}


def _hand_over(tasks: Sequence[Any], documents: Sequence[dict[str, Any]], secrets: Mapping[str, str]) -> None:
    for task, document in zip(tasks, documents, strict=True):
        task.update_secrets({key: secrets[key] for key in document.get("secrets") or {} if key in secrets})
