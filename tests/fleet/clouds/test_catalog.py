"""SkyPilot's own catalog reader, on a small catalog in a home of its own; no server, no account, no network."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from cortex.runs.price_list import Offer
from cortex.settings import CHECKOUT
from tests.testbed.catalog import ZONES, price, write_catalogs

pytestmark = pytest.mark.integration

ASK = """
import json, sys
from cortex.errors import ConfigError
from cortex.fleet.clouds.catalog import offers

for name, task, spot in json.load(sys.stdin):
    try:
        answer = [offer.model_dump() for offer in offers(task, spot=spot)]
    except ConfigError as error:
        answer = str(error)
    print(json.dumps([name, answer]), flush=True)
"""

GPUS = {
    "image_id": "docker:cortex-sft",
    "use_spot": True,
    "job_recovery": {"strategy": "EAGER_NEXT_REGION", "recover_on_exit_codes": [75]},
    "ordered": [
        {"infra": "aws", "accelerators": "H100:8"},
        {"infra": "aws", "accelerators": "A100-80GB:8", "max_hourly_cost": 15.0},
    ],
}

CASES: dict[str, tuple[dict[str, Any], bool | None]] = {
    "as it says": ({"name": "sft", "resources": GPUS}, None),
    "on demand": ({"name": "sft", "resources": GPUS}, False),
    "under a low cap": (
        {"name": "sft", "resources": {"infra": "aws", "accelerators": "A100-80GB:8", "max_hourly_cost": 15}},
        None,
    ),
    "no gpu": ({"name": "data", "resources": {"infra": "aws/us-west-2", "cpus": "4+"}}, True),
    "too many": ({"name": "sft", "resources": {"infra": "aws", "accelerators": "H100:16"}}, None),
    "no such place": ({"name": "sft", "resources": {"infra": "aws/us-west-9", "cpus": 4}}, None),
    "no such key": ({"name": "sft", "resources": {"infra": "aws", "use_spott": True}}, None),
    "no catalog": ({"name": "data", "resources": {"any_of": [{"infra": "aws"}, {"infra": "gcp"}]}}, None),
    "any cloud": ({"name": "data", "resources": {"cpus": "4+"}}, None),
    "broken catalog": ({"name": "data", "resources": {"infra": "azure", "cpus": "4+"}}, None),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of `offers` in each case: offers, or the error's message."""
    home = tmp_path_factory.mktemp("home")
    catalogs = home / ".sky" / "catalogs" / "v8"
    write_catalogs(catalogs, {"us-east-1": "ami-0"})
    (catalogs / "azure").mkdir()
    (catalogs / "azure" / "vms.csv").write_text("")
    others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SKY", "CORTEX_"))}
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        input=json.dumps([(name, task, spot) for name, (task, spot) in CASES.items()]),
        env=others
        | {"HOME": str(home), "PYTHONPATH": str(CHECKOUT), "AWS_EC2_METADATA_DISABLED": "true"}
        | {"HTTPS_PROXY": nowhere, "https_proxy": nowhere, "NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "SkyPilot's own words about the same errors"
    return dict(map(json.loads, done.stdout.splitlines()))


def test_every_place_is_offered_with_its_own_price_the_cheapest_first(answers: dict[str, Any]) -> None:
    found = [Offer.model_validate(offer) for offer in answers["as it says"]]
    h100 = {(offer.region, offer.zone) for offer in found if offer.accelerators == "H100:8"}
    assert h100 == {(region, zone) for region, zones in ZONES.items() for zone in zones}
    assert all(
        (offer.cloud, offer.spot) == ("aws", True)
        and offer.dollars_per_hour == price(offer.instance_type, offer.region, spot=True)
        for offer in found
    )
    assert [offer.dollars_per_hour for offer in found] == sorted(offer.dollars_per_hour for offer in found)


def test_a_price_cap_chooses_among_machine_types_only(answers: dict[str, Any]) -> None:
    """SkyPilot compares the cap with the cheapest place of a type; it does not apply it to the type's other places."""
    dear = [offer for offer in answers["as it says"] if offer["accelerators"] == "A100-80GB:8"]
    assert max(offer["dollars_per_hour"] for offer in dear) == price("p4de.24xlarge", "us-east-1", spot=True) > 15
    assert "no machine for A100-80GB:8 aws $15/h at most" in answers["under a low cap"]


def test_the_task_is_overridden_and_its_cap_with_it(answers: dict[str, Any]) -> None:
    found = [Offer.model_validate(offer) for offer in answers["on demand"]]
    kinds = ("p4de.24xlarge", "p5.48xlarge")
    assert {(offer.instance_type, offer.region, offer.zone, offer.spot) for offer in found} == {
        (kind, region, None, False) for kind in kinds for region in ZONES
    }
    assert found[0].dollars_per_hour == price("p4de.24xlarge", "us-west-2", spot=False) > 15


def test_without_a_gpu_the_smallest_machine_is_offered_where_it_was_asked_for(answers: dict[str, Any]) -> None:
    assert {(offer["instance_type"], offer["region"], offer["accelerators"]) for offer in answers["no gpu"]} == {
        ("m6i.xlarge", "us-west-2", None)
    }


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("too many", "task 'sft': SkyPilot's catalog has no machine for H100:16 aws: ask for less"),
        ("no such place", "task 'sft': its `resources` cannot be used: Invalid region 'us-west-9'"),
        ("no such key", "use_spott"),
        ("no catalog", "catalogs/v8/gcp/vms.csv is not here, and cannot be fetched from raw.githubusercontent.com"),
        ("any cloud", "v8/gcp/vms.csv is not here"),
        ("broken catalog", "cannot be read"),
    ],
)
def test_what_has_no_price_is_one_line_with_the_fix(case: str, words: str, answers: dict[str, Any]) -> None:
    message = answers[case]
    assert isinstance(message, str) and words in message and "\n" not in message
