"""The way from nothing to a first launch: each step's own checks in moto's AWS, and the whole as a program."""

import json
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import boto3
import pytest

from cortex.fleet.preflight import builder_check, spot_check, stack_check
from cortex.fleet.preflight.all_checks import CHECKS, ask_all
from cortex.fleet.preflight.doctor import STEPS, Reached, first_missing
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.profiles.profile import Profile
from cortex.runs.price_list import Offer
from cortex.settings import Settings
from infra import kit_files
from tests.conftest import Cortex
from tests.fleet.services import Aws
from tests.infra.samples import OUTPUTS

POLICY = "arn:aws:iam::123456789012:policy/cortex-dev-run"


def offer(cloud: str) -> Offer:
    return Offer(cloud=cloud, region="there", instance_type="gpus", spot=True, dollars_per_hour=1)


def test_every_check_of_a_launch_is_a_step_of_the_way_once() -> None:
    asked = [check.name for step in STEPS for check in step.checks]
    assert len(asked) == len(set(asked))
    assert {check.name for check in CHECKS} <= set(asked)


def test_a_cloud_that_keeps_silent_is_not_ready(profile: Profile, tmp_path: Path) -> None:
    """As before a launch, a needed check that gets no answer has failed."""
    needed = {check.name for step in STEPS for check in step.checks if check.needed}
    assert needed == {check.name for check in CHECKS if check.needed} >= {"credentials", "bucket", "clouds"}
    hangs = tuple(replace(check, ask=lambda _: sleep(60)) for check in STEPS[1].checks)
    found = ask_all(Ground(profile, None, Settings(home=tmp_path), []), hangs, 0.1)
    missing = first_missing([Reached(STEPS[1], tuple(found))])
    assert missing and missing.check == "credentials" and "no answer within" in missing.detail


def test_what_comes_next_is_the_first_fault_in_the_order_of_the_steps() -> None:
    good, advised = Finding("a", True, "there"), Finding("b", True, "there", "better so")
    unknown, bad, worse = (
        Finding("c", None, "silent"),
        Finding("d", False, "gone", "mend"),
        Finding("e", False, "-", "x"),
    )
    assert first_missing([Reached(STEPS[0], (good, advised)), Reached(STEPS[1], (unknown,))]) is None
    assert first_missing([Reached(STEPS[0], (good, unknown, bad)), Reached(STEPS[1], (worse,))]) is bad


@pytest.mark.integration
def test_a_newcomer_is_told_the_first_thing_to_do(cortex: Cortex, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    alone = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), "AWS_EC2_METADATA_DISABLED": "true"}
    variables = nowhere | alone | {"CORTEX_PREFLIGHT_SECONDS": "300"}
    told = cortex("doctor", **variables)
    assert told.returncode == 78 and "Traceback" not in told.stderr, told.stderr
    assert told.stderr.startswith("error: next, tools: install openssh-client rsync"), told.stderr
    assert [line for line in told.stdout.splitlines() if line[:1].isdigit()] == [
        f"{number}. {step.name}" for number, step in enumerate(STEPS, start=1)
    ]
    listed = json.loads(cortex("doctor", "cortex-70b", "--json", **variables).stdout)
    assert [step["step"] for step in listed] == [step.name for step in STEPS]
    found = {finding["check"]: finding for step in listed for finding in step["checks"]}
    assert found["docker"]["detail"].startswith("docker is not installed") and found["stack"]["ok"] is False
    assert not [finding for finding in found.values() if "could not be looked at" in finding["detail"]], found


def test_an_unknown_profile_is_named(cortex: Cortex) -> None:
    done = cortex("doctor", "cortex-7b")
    assert done.returncode == 78 and "did you mean 'cortex-70b'" in done.stderr, done.stderr


def test_an_engine_is_wanted_only_until_images_are_pushed(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ground = Ground(profile, None, Settings(), [], digests=tmp_path / "digests.json")
    found = builder_check.check(ground)
    assert found.ok is False and "docker is not installed" in found.detail and "install Docker" in str(found.fix)
    (tmp_path / "docker").write_text("#!/bin/sh\necho no engine here >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    found = builder_check.check(ground)
    assert found.ok is False and "no Docker Engine answers (no engine here)" in found.detail
    (tmp_path / "docker").write_text("#!/bin/sh\necho 29.0\n")
    assert builder_check.check(ground).ok
    (tmp_path / "docker").unlink()
    ground.digests.write_text("{}")
    assert builder_check.check(ground).ok


def of_stack(profile: Profile, tmp_path: Path, vpc: str | None = None, **given: Any) -> Finding:
    config = tmp_path / "sky.yaml"
    config.write_text(json.dumps({"aws": {"vpc_names": vpc}} if vpc else {}))
    environment = {"SKYPILOT_PROJECT_CONFIG": str(config)}
    return stack_check.check(Ground(profile, None, Settings(home=tmp_path, **given), [], environment=environment))


def test_a_stack_stands_where_its_network_is_found(profile: Profile, tmp_path: Path, cloud: Aws) -> None:
    assert cloud
    raised = {"run_policy": POLICY, "network_regions": ("us-west-2",), "bucket": "s3://mine"}
    gone = of_stack(profile, tmp_path, "cortex-dev", **raised)
    assert gone.ok is False and "us-west-2 has no network cortex-dev" in gone.detail and gone.fix == "make infra-up"
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "cortex-dev"}]}]
    boto3.client("ec2", region_name="us-west-2").create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=tags)  # type: ignore[arg-type]
    assert of_stack(profile, tmp_path, "cortex-dev", **raised).ok
    assert of_stack(profile, tmp_path, "cortex-prod", **raised).ok is False
    several = raised | {"network_regions": ("us-west-2", "eu-west-1", "us-east-2")}
    without = of_stack(profile, tmp_path, "cortex-dev", **several)
    assert without.ok is False and "eu-west-1 and us-east-2 have no network cortex-dev" in without.detail
    unnamed = of_stack(profile, tmp_path, None, **raised)
    assert unnamed.ok is False and "names no network" in unnamed.detail


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("aws: {vpc_names: cortex-dev}", ["cortex-dev"]),
        ("aws: {vpc_names: [cortex-dev, other]}", ["cortex-dev", "other"]),
        ("aws: {vpc_name: older}", ["older"]),
        *((text, []) for text in ("", "aws:", "aws: {}", "aws: here", "[1]", "aws: {vpc_names: []}")),
    ],
)
def test_networks_are_read_as_skypilot_takes_them(config: str, names: list[str], tmp_path: Path) -> None:
    (tmp_path / ".sky.yaml").write_text(config)
    assert stack_check.networks(tmp_path / ".sky.yaml") == names
    assert stack_check.networks(tmp_path / "none.yaml") == []


def test_the_network_that_raising_a_stack_writes_down_is_looked_for(tmp_path: Path) -> None:
    kit_files.write(OUTPUTS, tmp_path)
    assert stack_check.networks(tmp_path / ".sky.yaml") == [OUTPUTS.vpc_name]


def test_without_a_stack_a_bucket_will_do(profile: Profile, tmp_path: Path) -> None:
    nothing = of_stack(profile, tmp_path)
    assert nothing.ok is False and "make infra-up" in str(nothing.fix)
    own = of_stack(profile, tmp_path, bucket="s3://mine")
    assert own.word == "warning" and "s3://mine" in own.detail


def test_an_account_that_never_used_spot_is_told_how_to(profile: Profile, cloud: Aws) -> None:
    assert cloud
    ground = Ground(profile, None, Settings(), [{"name": "sft"}], rentable=lambda _: (offer("aws"),))
    new = spot_check.check(ground)
    assert new.word == "warning" and "never used spot" in new.detail and "spot.amazonaws.com" in str(new.fix)
    boto3.client("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    assert spot_check.check(ground).word == "ok"
    others = Ground(profile, None, Settings(), [{"name": "sft"}], rentable=lambda _: (offer("gcp"),))
    assert spot_check.check(others).word == "skipped"
