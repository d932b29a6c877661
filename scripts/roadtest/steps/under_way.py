"""Steps while the run is under way: checks of its machine, of a laptop that is cut off, and of a lost machine."""

import json
import re
import socket
from typing import Any

from cortex.errors import CortexError, StageError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.tunnel import find_tunnel
from cortex.fleet.launch.run_role import RunRole
from cortex.fleet.sweep.ec2 import regions
from cortex.fleet.tasks.run_tasks import resolve
from cortex.fleet.watch.rentals import Rental, end, rentals
from cortex.runs.events import Event
from cortex.runs.gpus import STARTS
from scripts.roadtest.road import Road
from scripts.roadtest.step import Found, Step, unproven

START_SECONDS = 3600.0
"""Most seconds until a machine with its image runs: usually ten minutes, longer while spot machines are scarce."""


def secret(road: Road) -> Found:
    """Wait for the first stage: each task checks the secret's hash before its own command, and exits with 78 if it is
    wrong."""
    reached = road.wait_for(
        lambda: road.status_while_alive() and road.events("stage_started"), "the first stage on a rented machine", 2
    )
    return Found(f"stage {reached[0]['stage']} began, after its task had compared the secret's hash")


def status(road: Road) -> Found:
    """Call `cortex status` as a user does: it shows the state by the bucket and by SkyPilot."""
    road.keep_skypilot_logs(road.run)

    def read_status() -> dict[str, Any] | None:
        """The status; None where SkyPilot's server was too busy to answer in time."""
        found = json.loads(road.cortex("status", road.run, "--json"))
        return found if found["skypilot"] else None

    found = road.wait_for(read_status, f"SkyPilot's word of run {road.run}")
    job = found["skypilot"]
    if job["ended"]:
        raise StageError(f"SkyPilot's {job['job']} is {job['state']}, and {road.run} is {found['state']}")
    return Found(f"{found['state']} by the bucket; SkyPilot's {job['job']}: {job['state']}")


def gpu(road: Road) -> Found:
    if road.profile.hardware.device != "cuda":
        return unproven("its profile has `device: cpu`")
    road.wait_for(
        lambda: road.status_while_alive() and [e for e in road.events("stage_finished") if e["stage"] == "sft"],
        "the end of sft",
    )
    text = road.cortex("logs", road.run, "--stage", "sft")
    found = re.search(rf"{STARTS} .*", text)
    if not found:
        raise StageError(f"the log of sft does not say `{STARTS}`: see `cortex logs {road.run} --stage sft`")
    return Found(found[0].strip())


def role(road: Road) -> Found:
    """Ask EC2 for the role of the machine at work."""
    if road.clouds != {"aws"}:
        return unproven("roles of machines are looked at on AWS alone")
    policy = road.settings.run_policy
    if not policy:
        return unproven("CORTEX_RUN_POLICY is not set: machines carry a role that all runs share; `make infra-up`")
    wanted = RunRole(road.run, policy).name
    # Between two tasks there is no machine for some minutes.
    machine = road.wait_for(lambda: _at_work(road), "a machine at work")
    client = aws_api.client("ec2", machine.region)
    try:
        (reservation,) = client.describe_instances(InstanceIds=[machine.machine])["Reservations"]
    except aws_api.error_types() as error:
        raise CortexError(
            f"EC2 does not tell what {machine.machine} carries: {aws_api.describe_error(error)}"
        ) from error
    carried = str(reservation["Instances"][0].get("IamInstanceProfile", {}).get("Arn"))
    if not carried.endswith(f"/{wanted}"):
        raise StageError(f"{machine.machine} carries {carried}, and not {wanted}")
    return Found(f"{machine.machine} carries {wanted}")


def window(road: Road) -> Found:
    """Close the tunnel to SkyPilot's server, check that steps go on meanwhile, and open it again."""
    tunnel = find_tunnel(road.settings)
    if tunnel is None:
        return unproven("SkyPilot runs on this machine, which must stay up: `make infra-up` raises a server")
    _progress_of_grpo(road)
    before = len(road.events("progress", ask_skypilot=False))
    road.cortex("server", "disconnect")
    try:
        if _answers(tunnel.port):
            raise StageError(f"port {tunnel.port} leads to a server still, though it was closed")
        began = road.left
        made = road.wait_for(
            lambda: (
                road.status_while_alive(ask_skypilot=False)
                and began - road.left >= road.offline_seconds
                and max(0, len(road.events("progress", ask_skypilot=False)) - before)
            ),
            "a step of the run while the laptop was cut off",
            2,
        )
    finally:
        road.cortex("server", "connect")
    if not _answers(tunnel.port):
        raise StageError(f"port {tunnel.port} leads nowhere, though it was opened again")
    return Found(f"{made} entries of progress in {began - road.left:.0f} s without a way to SkyPilot's server")


def reclaim(road: Road) -> Found:
    """Terminate the machine that trains, as in a preemption, but without notice; then check that another one resumes
    from a checkpoint that the first one put into the bucket."""
    if road.clouds != {"aws"}:
        return unproven("terminate its machine in the cloud's console during grpo: `make status` shows it recover")
    # SkyPilot is not asked here, so that each look is fast: the machine must not finish its work first.
    first = road.wait_for(lambda: _saved_step(road), "a checkpoint of grpo", 1)
    machine = _at_work(road)
    if machine is None:
        raise StageError(f"EC2 knows no machine of run {road.run} that is up, though grpo made step {first['step']}")
    end(machine)
    road.reclaimed = machine.machine
    after = road.wait_for(lambda: _resumed(road, first["epoch"]), "the first step after the machine was taken away", 2)
    if after["step"] <= 1:
        raise StageError(f"training began anew, though {machine.machine} had saved at step {_save_steps(road)}")
    return Found(
        f"{machine.machine} was terminated at step {first['step']}; step {after['step']} was the next one made"
    )


def bucket(road: Road) -> Found:
    """Check that one machine has read another's checkpoint from the bucket, and that no task got keys of the bucket."""
    if not road.reclaimed:
        return unproven("no machine was taken away: nothing says that another one read what the first had written")
    documents = resolve(road.profile, road.run, pipeline=road.pipeline, settings=road.settings)
    keys = {key for document in documents for key in (*document["envs"], *(document.get("secrets") or {}))}
    if lent := sorted(key for key in keys if key.startswith(("AWS_ACCESS", "AWS_SECRET", "GOOGLE_", "AZURE_"))):
        raise StageError(f"its tasks were handed {', '.join(lent)}: a machine should need no key of the bucket")
    road.keep_skypilot_logs(road.run)
    machines = [charge.machine for charge in road.look(road.run).charges]
    after = next((machine for machine in reversed(machines) if machine != road.reclaimed), None)
    if after is None:
        raise StageError(f"its ledger knows {road.reclaimed} alone, and that machine is gone")
    return Found(
        f"{after} went on from what {road.reclaimed} had put into {road.store.url}; its tasks were handed no key of it"
    )


def _progress_of_grpo(road: Road) -> Event:
    """Wait for the first step of grpo, and return the newest."""
    return road.wait_for(lambda: _newest_step(road), "the first step of grpo", 1)


def _newest_step(road: Road) -> Event | None:
    status = road.status_while_alive(ask_skypilot=False)
    if not status.stage or status.stage.name != "grpo":
        if any(stage.name == "grpo" and stage.state == "done" for stage in status.stages):
            raise StageError("grpo was over before: give the profile more `grpo.max_steps`")
        return None
    steps = [e for e in road.events("progress", ask_skypilot=False) if e["epoch"] == status.stage.epoch]
    return max(steps, key=lambda event: event["step"], default=None)


def _saved_step(road: Road) -> Event | None:
    """The newest step of grpo, once its machine has saved twice; None before."""
    newest = _newest_step(road)
    return newest if newest and newest["step"] > 2 * _save_steps(road) else None


def _save_steps(road: Road) -> int:
    assert road.profile.grpo is not None
    return road.profile.grpo.save_steps


def _resumed(road: Road, epoch: int) -> Event | None:
    """The first step of a later machine; None before."""
    road.status_while_alive()
    later = [event for event in road.events("progress") if event["epoch"] > epoch]
    return min(later, key=lambda event: (event["epoch"], event["step"]), default=None)


def _at_work(road: Road) -> Rental | None:
    """EC2's record of the machine with the ledger's last sign of life; None where that machine is not up."""
    charge = road.status_while_alive(ask_skypilot=False).machine
    where = [charge.region] if charge and charge.region else regions()
    found, _ = rentals(road.run, road.store.url, where)
    return next((one for one in found if charge and one.machine == charge.machine and one.standing), None)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


UNDER_WAY = (
    Step(
        "secret",
        "A secret of the launching shell reaches the task on the rented machine.",
        secret,
        seconds=START_SECONDS,
        needs=("launch",),
    ),
    Step("status", "The bucket and SkyPilot say how the run stands.", status, seconds=300, needs=("secret",)),
    Step(
        "gpu",
        "The machine's own image has a driver, the container sees it, and PyTorch computes on the GPU.",
        gpu,
        seconds=2 * START_SECONDS,
        needs=("launch",),
    ),
    Step(
        "role",
        "The machine acts as the run's own role, which can read and write this run alone.",
        role,
        seconds=START_SECONDS,
        needs=("secret",),
    ),
    Step(
        "window",
        "The laptop is only a window: its way to SkyPilot's server is closed and opened, and training goes on.",
        window,
        seconds=2 * START_SECONDS,
        needs=("launch",),
    ),
    Step(
        "reclaim",
        "A machine that is taken away is replaced, and training goes on from the last checkpoint.",
        reclaim,
        seconds=2 * START_SECONDS,
        needs=("launch",),
    ),
    Step(
        "bucket",
        "Machines write into the bucket and read from it as themselves.",
        bucket,
        seconds=60,
        needs=("reclaim",),
    ),
)
