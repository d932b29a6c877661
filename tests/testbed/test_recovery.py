"""A managed spot job of the real SkyPilot: it is warned, loses its machine, and comes back on another."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

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
envs: {RUN_ID: survivor}
run: |
  bucket=$AWS_ENDPOINT_URL/cortex-testbed/survivor
  metadata=http://169.254.169.254/latest
  ask() { curl --silent --fail --header "X-aws-ec2-metadata-token: $token" $metadata/meta-data/$1; }
  tell() { curl --silent --fail --request PUT --data-binary @- $bucket/$1; }
  curl --silent --output /dev/null --write-out '%{http_code}' $metadata/meta-data/instance-id | tell without-token
  token=$(curl --silent --request PUT --header "X-aws-ec2-metadata-token-ttl-seconds: 600" $metadata/api/token)
  if curl --silent --fail $bucket/notice; then
    cortex show nobody 2>&1 | tell kit
    ask instance-id | tell second
    exit 0
  fi
  ask spot/instance-action | tell too-early
  ask instance-id | tell first
  until notice=$(ask spot/instance-action); do sleep 1; done
  ask events/recommendations/rebalance | tell rebalance
  printf %s "$notice" | tell notice
  sleep 600
"""


def test_a_spot_job_is_warned_reclaimed_and_recovers_elsewhere(inside: Inside) -> None:
    written = inside.write("image.yaml", TASK)
    # The bed's own environment stands for the image's: it has what the kit's core needs.
    task = for_machines(written, inside.folder / "survivor.yaml", {"data": Path(sys.prefix)})
    inside.succeed("sky", "jobs", "launch", "--yes", "--detach-run", task)
    first = until(lambda: inside.object("survivor/first"), "the job's start")
    assert inside.object("survivor/without-token") == "401"
    assert not inside.object("survivor/too-early")
    inside.bed.reclaim(first, NOTICE)
    notice = json.loads(until(lambda: inside.object("survivor/notice"), "the notice"))
    assert notice["action"] == "terminate"
    assert set(json.loads(inside.object("survivor/rebalance") or "")) == {"noticeTime"}
    second = until(lambda: inside.object("survivor/second"), "the recovery")
    assert second != first
    assert "no run 'nobody' in" in (inside.object("survivor/kit") or "")
    until(lambda: inside.jobs()["survivor"] == "SUCCEEDED", "the job's end", every=5)
    until(lambda: not inside.machines(), "the return of the machine")
    events = {(event["machine"], event["event"]): event for event in inside.events()}
    assert [event for machine, event in events if machine == first] == ["booted", "noticed", "reclaimed"]
    assert [event for machine, event in events if machine == second] == ["booted", "ended"]
    taken = events[first, "reclaimed"]["time"]
    assert NOTICE <= taken - events[first, "noticed"]["time"] < NOTICE + 5
    promised = datetime.strptime(notice["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(promised - taken) < 5
