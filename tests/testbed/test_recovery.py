"""A managed job of the real SkyPilot: warned, it loses its spot machine in a drought, comes back on demand, and leaves
that machine for spot by the rule of a run with a deadline."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from cortex.fleet.tasks.renting import apply_renting
from tests.testbed.conftest import Inside, until
from tests.testbed.tasks import for_machines

NOTICE = 8.0

TASK = """
name: survivor
resources:
  infra: aws
  image_id: docker:registry.example/cortex-data:1
  cpus: 4+
  use_spot: true
  job_recovery: {strategy: EAGER_NEXT_REGION, recover_on_exit_codes: [75]}
envs: {RUN_ID: survivor, CORTEX_BUCKET: s3://cortex-testbed}
run: python -m tests.testbed.survivor
"""


@pytest.mark.drawn("bed")
def test_a_spot_job_is_warned_and_reclaimed_comes_back_on_demand_and_leaves_for_spot(inside: Inside) -> None:
    task = yaml.safe_load(TASK)
    # Like a run with a deadline: spot first, then on demand.
    task["resources"] = apply_renting(task["resources"], "", "spot first")
    written = inside.write("image.yaml", yaml.safe_dump(task))
    # The bed's own environment stands for the image's: it has what the kit's core needs. Machines see it, and this
    # code, at the same paths.
    runnable = for_machines(written, inside.folder / "survivor.yaml", {"data": Path(sys.prefix)})
    inside.succeed("sky", "jobs", "launch", "--yes", "--detach-run", runnable)
    first = until(lambda: inside.object("survivor/first"), "the job's start")
    assert inside.object("survivor/without-token") == "401"
    assert inside.object("survivor/too-early") == "404"
    (machine,) = inside.machines()
    identity = json.loads(inside.object("survivor/identity") or "")
    launched = datetime.fromtimestamp(machine["launched"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = (first, machine["type"], machine["region"], machine["zone"], launched)
    named = ("instanceId", "instanceType", "region", "availabilityZone", "pendingTime")
    assert tuple(identity[name] for name in named) == asked
    assert inside.object("survivor/life-cycle") == "spot"
    inside.bed.drought(True)
    inside.bed.reclaim(first, NOTICE)
    notice = json.loads(until(lambda: inside.object("survivor/notice"), "the notice"))
    assert notice["action"] == "terminate"
    assert set(json.loads(inside.object("survivor/rebalance") or "")) == {"noticeTime"}
    second = until(lambda: inside.object("survivor/second"), "the recovery")
    assert second != first
    (bridge,) = [machine for machine in inside.machines() if machine["id"] == second]
    assert not bridge["spot"]
    inside.bed.drought(False)
    third = until(lambda: inside.object("survivor/third"), "the return to spot")
    assert third not in (first, second)
    until(lambda: inside.jobs()["survivor"] == "SUCCEEDED", "the job's end", every=5)
    until(lambda: not inside.machines(), "the return of the machine")
    events = {(event["machine"], event["event"]): event for event in inside.events()}
    assert [event for machine, event in events if machine == first] == ["booted", "noticed", "reclaimed"]
    assert [event for machine, event in events if machine == second] == ["booted", "ended"]
    assert [event for machine, event in events if machine == third] == ["booted", "ended"]
    assert events[third, "booted"]["spot"] and not events[second, "booted"]["spot"]
    decided = [json.loads(line) for line in (inside.object("survivor/decisions") or "").splitlines()]
    # On a busy machine a try may be due as soon as the program runs.
    assert [decision for decision, _ in decided if decision != "stay"] == ["spot", "leave"], decided
    taken = events[first, "reclaimed"]["time"]
    assert NOTICE <= taken - events[first, "noticed"]["time"] < NOTICE + 5
    promised = datetime.strptime(notice["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(promised - taken) < 5
