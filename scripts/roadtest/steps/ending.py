"""The last steps, done whatever the results: everything that was rented is ended, searched for, and accounted."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.artifacts.parallel import in_parallel
from cortex.errors import StageError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.job_names import bucket_label, run_label
from cortex.fleet.launch.run_launch import SUBMISSION
from cortex.fleet.sweep.ec2 import ANSWER_SECONDS, Thing, end, regions, tagged
from cortex.fleet.tasks.run_tasks import secrets
from cortex.fleet.watch.rentals import Rental, rentals
from cortex.runs.pipeline import read_documents
from cortex.runs.run_secret import RunSecret
from scripts.roadtest.pipeline import SECRET
from scripts.roadtest.road import SKYPILOT_LOGS, Road
from scripts.roadtest.step import Found, Step, unproven

AGAIN = 5.0
"""Seconds between two tries to end a run."""

ONE_TRY = 600.0
"""Timeout of `cortex teardown`, even if less is left of the step: it returns only once machines have ended."""

GIVING_BACK: dict[str, float] = {"machine": 300.0, "disk": 20.0, "address": 20.0}
"""Seconds for things to end by themselves after SkyPilot has ended them; then EC2 is told to end them. A disk is found
only once no machine holds it; if it ends with its machine, it is then gone in seconds."""

NOTHING = "nothing to destroy"
"""Output of `cortex teardown` where SkyPilot has nothing of a run."""

SHORTEST = 8
"""Least letters of a secret that is searched for: shorter ones would be found anywhere."""

OURS = b" cortex."
"""Part of each line that the kit's programs log: the beginning of the module's name."""

LARGEST = 2**30
"""Most bytes of an object that is searched; objects of the road test's model have some millions."""

CLOSE = 0.02
"""Most difference between a machine's time in the ledger and EC2's: this share of it, or `CLOSE_SECONDS` if more."""

CLOSE_SECONDS = 3.0


def left_over(road: Road) -> Found:
    """End everything that SkyPilot has of each run, and check with EC2 that nothing is left.

    For a while a launch that was cut off may still produce a job; its run is checked until that time is over.
    """
    faults = dict.fromkeys(road.begun, "it was not looked at")
    while faults:
        faults = {run: fault for run in faults if (fault := _end_run(road, run))}
        if not faults:
            break
        if not road.left:
            raise StageError("; ".join(f"{run} may stand: {fault}" for run, fault in faults.items()))
        time.sleep(min(AGAIN, max(0.1, road.left)))
    if road.clouds != {"aws"}:
        return unproven("SkyPilot has nothing of it any more; the cloud itself was not asked: see its console")
    return Found(f"SkyPilot has nothing of it, and EC2 nothing that bears its tags, in {_wait_until_gone(road)}")


def _end_run(road: Road, run: str) -> str | None:
    """End a run by SkyPilot; the reason why something of it may be left, or None."""
    try:
        said = road.verbs.ask("teardown", run, "--abandon", "--confirm", run, seconds=ONE_TRY)
    except StageError as error:
        return str(error)  # of a server that hangs; the other run must not wait for it
    if said.code:
        return said.last_line
    if NOTHING not in said.out:
        return "what it had was ended a moment ago"
    settling = SUBMISSION - (time.monotonic() - road.begun[run])
    if run not in road.submitted and settling > 0:
        return f"its launch was cut off, and a job may come about for {settling:.0f} s"
    return None


def _wait_until_gone(road: Road) -> str:
    """Wait until EC2 has nothing of the runs; return the number of regions, and what EC2 had to be told to end."""
    where, began, ended = _where(road), road.left, dict[tuple[str, str], str]()
    while standing := _standing(road, where):
        if not road.left:
            raise StageError(f"EC2 has {', '.join(f'{one.kind} {one.id} in {one.region}' for one in standing)}")
        for thing in standing:
            if began - road.left > GIVING_BACK[thing.kind] and thing.key not in ended:
                ended[thing.key] = f"{thing.kind} {thing.id}"
                end(thing)
        time.sleep(min(AGAIN, max(0.1, road.left)))
    by_hand = f"; EC2 had to be told to end {', '.join(ended.values())}" if ended else ""
    return f"{len(where)} regions{by_hand}"


def _standing(road: Road, where: Sequence[str]) -> list[Thing]:
    clients, labels = aws_api.Clients(ANSWER_SECONDS), {run_label(run) for run in road.begun}
    answers = in_parallel(lambda region: tagged(clients, region)[0], where, 16)
    ours = (None, bucket_label(road.store.url))
    return [thing for things in answers for thing in things if thing.label in labels and thing.bucket in ours]


def _where(road: Road) -> list[str]:
    """The regions to search."""
    return sorted(road.regions) or regions()


def sweep(road: Road) -> Found:
    """Call `cortex sweep` as a user does. It ignores runs that ended within 15 minutes, so `left over` proves that
    nothing is left; this step proves that the sweep can search everywhere."""
    if road.clouds != {"aws"}:
        return unproven("`cortex sweep` looks at AWS alone: see the cloud's console")
    swept = json.loads(
        road.cortex("sweep", "--json", *(word for region in road.regions for word in ("--region", region)))
    )
    ours = [f"{found['kind']} {found['id']}" for found in swept["found"] if found["run"] in road.begun]
    if ours:
        raise StageError(f"it finds {', '.join(ours)}: `make sweep DESTROY=1`")
    others = len(swept["found"])
    more = f"; {others} things of other runs are left over: `make sweep`" if others else ""
    return Found(f"nothing of this road test in {len(swept['regions'])} regions{more}")


def charge(road: Road) -> Found:
    """Check that each machine in EC2's records, which last for an hour, is in a ledger with EC2's time."""
    if road.clouds != {"aws"}:
        return unproven("the ends of machines are told by AWS alone: compare `make cost` with the cloud's bill")
    where, machines, compared = _where(road), list[Mapping[str, Any]](), 0
    for run in road.entered():
        what = f"the end of all machines of {run}, in its ledger,"
        known, rented = road.wait_for(lambda run=run: _settled(road, run, where), what)
        compared += sum(compare_times(known[rental.machine], rental) for rental in rented)
        machines += known.values()
        road.look(run, ask_skypilot=False)  # updates the final cost, for the last line
    if not compared:
        return unproven(f"EC2 has no record of an end: {len(machines)} machines in the ledgers, all of longer ago")
    dollars = sum(machine["dollars"] for machine in machines)
    return Found(
        f"{len(machines)} machines, ${dollars:.4f}; the times of {compared} in the ledgers are EC2's. AWS's own bill "
        "has it in a day (Cost Explorer, tag cortex-run), with disks, addresses and traffic on top"
    )


def _settled(road: Road, run: str, where: list[str]) -> tuple[dict[str, Mapping[str, Any]], list[Rental]] | None:
    """The run's machines in its ledger and in EC2's records, once the watcher has entered the end of each; None until
    then."""
    machines = {one["machine"]: one for one in json.loads(road.cortex("cost", run, "--json"))["machines"]}
    rented, _ = rentals(run, road.store.url, where, list(machines))
    if {one.machine for one in rented} - machines.keys() or not all(one["gone"] for one in machines.values()):
        return None
    return machines, rented


def compare_times(machine: Mapping[str, Any], rental: Rental) -> bool:
    """True if the ledger has EC2's time of a machine; False where EC2 does not tell it.

    Raises:
        StageError: the ledger has another time.
    """
    if rental.ended is None:
        return False
    seconds = rental.ended - rental.launched
    if abs(machine["seconds"] - seconds) > max(CLOSE * seconds, CLOSE_SECONDS):
        raise StageError(f"{rental.machine} cost {machine['seconds']:.0f} s by the ledger, and {seconds:.0f} s by EC2")
    return True


def leaks(road: Road) -> Found:
    """Search the bucket, SkyPilot's logs and the verbs' output for each secret that was sent to a machine."""
    given = {name: os.environ.get(name, "") for name in secrets(read_documents(road.pipeline))} | {SECRET: road.secret}
    looked_for = {name: value.encode() for name, value in given.items() if len(value) >= SHORTEST}
    looked_for |= {f"the secret of {run}": RunSecret.of(run, road.settings).value.encode() for run in road.begun}
    places = 0
    for run in road.entered():
        road.keep_skypilot_logs(run, controller=True)
        for found in road.store.list(f"runs/{run}"):
            require_no_secret(looked_for, road.store.get(found.key, LARGEST), f"{road.store.url}/{found.key}")
            places += 1
    for path in road.verbs.folder.iterdir():
        require_no_secret(looked_for, path.read_bytes(), str(path))
        places += 1
    if not _has_skypilot_logs(road):
        raise StageError(f"SkyPilot has not printed its logs of {road.run}: see {road.verbs.folder}")
    return Found(f"{len(looked_for)} secrets stand in none of {places} objects, logs and outputs")


def _has_skypilot_logs(road: Road) -> bool:
    """True if SkyPilot's logs of the tasks contain a line of the kit's programs."""
    logs = road.verbs.folder.glob(f"*-{SKYPILOT_LOGS.replace(' ', '-')}.out")
    return any(OURS in path.read_bytes() for path in logs)


def require_no_secret(secret_values: Mapping[str, bytes], data: bytes, where: str) -> None:
    found = [name for name, value in secret_values.items() if value in data]
    if found:
        raise StageError(f"{where} holds {', '.join(found)}: it is no secret any more, so renew it")


def fabric(road: Road) -> Found:
    del road
    return unproven(
        "one small GPU has no NVSwitch. The first GPU stage of `make train PROFILE=cortex-70b` says it before "
        "anything is downloaded: PyTorch starts 8 GPUs, or 802 (docs/fleet.md, the machine's own image)"
    )


LEFT_OVER = Step("left over", "Nothing that was rented stands any more.", left_over, seconds=2700, always=True)
SWEEP = Step("sweep", "`cortex sweep` can look into every region, and finds nothing of it.", sweep, 300, always=True)
ENDING = (
    LEFT_OVER,
    SWEEP,
    Step("charge", "What the ledger says that it cost is what the cloud counted.", charge, 600, always=True),
    Step("leaks", "No secret stands in the bucket, in a log, or in what was printed.", leaks, 900, always=True),
    Step("fabric", "Fabric Manager and NVLink of machines with eight GPUs.", fabric, 10, always=True),
)
