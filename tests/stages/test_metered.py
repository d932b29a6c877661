"""A program of stages with its meter: real processes, a real metadata service, and money that runs out."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Budget
from cortex.runs.context import create_run
from cortex.runs.departure import MANAGED
from cortex.runs.ledger import Event, LedgerReader
from cortex.runs.price_list import Offer, PriceList
from tests.conftest import Cortex, environment
from tests.runs.metadata_server import AwsServer

pytestmark = pytest.mark.integration

RUN = "run-1"

PROGRAM = """
import sys, time
from types import ModuleType
from cortex import cli
from cortex.runs.meter import Meter
Meter.__init__.__kwdefaults__.update(every=0.2, grace=float(sys.argv.pop(1)))
deaf = sys.argv.pop(1) == "deaf"
def body(context, output):
    for item in range(10_000):
        time.sleep(0.05)
        if not deaf:
            context.progress(item, 10_000)
module = ModuleType("cortex.stages.data"); module.run = body
sys.modules["cortex.stages.data"] = module
cli.main()
"""


def begin(store: Store, profile: Profile, dollars: float, *offers: Offer) -> None:
    """A run with a budget and a price list."""
    create_run(store, RUN, profile.model_copy(update={"budget": Budget(dollars=dollars)}))
    PriceList(taken=0, offers=offers).write(store, RUN)


def events(store: Store) -> list[Event]:
    return LedgerReader(store, RUN).new_events()


def test_a_stage_on_a_rented_machine_enters_it_from_its_launch_and_its_cost_is_told(
    profile: Profile, store: Store, cortex: Cortex, aws: AwsServer
) -> None:
    offer = Offer(
        cloud="aws",
        region="us-east-1",
        instance_type="p5.48xlarge",
        accelerators="H100:8",
        spot=True,
        dollars_per_hour=30,
    )
    begin(store, profile, 32.0, offer)
    launched = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    aws.rent(launched)
    on_aws = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url, "GCE_METADATA_HOST": aws.url.removeprefix("http://")}
    ran = cortex("run", "data", "--run", RUN, **on_aws)
    assert ran.returncode == 0, ran.stderr
    assert "of its budget of $32.00" in ran.stderr
    told = {event["event"]: event for event in events(store)}
    begun = told["machine_started"]
    assert (begun["machine"], begun["accelerators"], begun["since"], begun["task"]) == (
        "i-0123456789abcdef0",
        "H100:8",
        launched.timestamp(),
        "data",
    )
    assert (told["budget_warning"]["budget"], told["machine_ended"]["reason"]) == (32.0, "done")
    assert "budget_spent" not in told

    cost = json.loads(cortex("cost", RUN, "--json").stdout)
    [machine] = cost["machines"]
    assert (machine["cloud"], machine["region"], machine["spot"], machine["open"]) == ("aws", "us-east-1", True, False)
    assert cost["spent"] == pytest.approx((machine["until"] - machine["since"]) / 3600 * 30, abs=1e-5)
    assert 30 < cost["spent"] < 32
    status = json.loads(cortex("status", RUN, "--json").stdout)
    assert (status["spent"], status["budget"], status["machine"]["machine"]) == (
        cost["spent"],
        32.0,
        "i-0123456789abcdef0",
    )
    logs = cortex("logs", RUN)
    assert "of its budget of $32.00" in logs.stdout


@pytest.mark.parametrize("manner", ["by items", "deaf"])
def test_at_the_cap_a_stage_that_is_no_trainer_stops_too_and_is_not_begun_again(
    manner: str, profile: Profile, store: Store, tmp_path: Path
) -> None:
    begin(store, profile, 1.0, Offer(cloud="aws", region="r", instance_type="t", spot=True, dollars_per_hour=3600))
    # A stage that works by items gets enough time to come to the next item by itself.
    words = ["0.3" if manner == "deaf" else "1000", manner, "run", "data", "--run", RUN]

    def go() -> "subprocess.CompletedProcess[str]":
        variables = environment(tmp_path) | {"AWS_EC2_METADATA_DISABLED": "true"}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *words],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    done = go()
    assert done.returncode == 76, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"error: run {RUN} has spent $1.")
    assert "Traceback" not in done.stderr
    known = events(store)
    [failed] = [event for event in known if event["event"] == "stage_failed"]
    assert failed["code"] == 76

    again = go()
    assert again.returncode == 76
    assert len(events(store)) == len(known), "nothing of it was begun"


TAKEN = """
import sys, time
from types import ModuleType
from cortex import cli
from cortex.errors import PreemptedError
from cortex.runs import departure
departure.GRACE = 0.5
def body(context, output):
    left = PreemptedError("data: aws spot instance-action: it left")
    left.gone_by = time.monotonic() + 1.5
    raise left
module = ModuleType("cortex.stages.data"); module.run = body
sys.modules["cortex.stages.data"] = module
cli.main()
"""


def test_who_was_told_when_its_machine_goes_stays_until_then_and_is_charged(
    profile: Profile, store: Store, tmp_path: Path
) -> None:
    begin(store, profile, 0.0, Offer(cloud="aws", region="r", instance_type="t", spot=True, dollars_per_hour=3600))
    variables = environment(tmp_path) | {"AWS_EC2_METADATA_DISABLED": "true", MANAGED: "sky-1_r1"}
    words = [sys.executable, "-c", TAKEN, "run", "data", "--run", RUN]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 75, done.stderr
    assert "all is saved: waiting for this machine to be taken, 2 s at most" in done.stdout
    told = {event["event"]: event for event in events(store)}
    assert told["machine_ended"]["time"] - told["stage_failed"]["time"] >= 1.9
