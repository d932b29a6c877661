"""`cortex preflight`, as a program: SkyPilot's own catalog reader, moto's AWS, a hub; nothing was pushed."""

import json
from pathlib import Path

import pytest

from cortex.fleet.preflight.all_checks import CHECKS
from tests.conftest import Cortex
from tests.fleet.services import Aws, Hub, serving
from tests.testbed.catalog import write_catalogs

pytestmark = pytest.mark.integration

PATIENT = {"CORTEX_PREFLIGHT_SECONDS": "300"}
"""A time limit long enough for a busy machine: the tests are not about late checks."""

PIPELINE = """
name: cortex
---
name: sft
resources: {infra: aws/us-east-1, image_id: docker:cortex-sft, cpus: 4+, use_spot: true}
run: cortex run data label sft grpo export evaluate release
"""


@pytest.fixture
def pipeline(tmp_path: Path, cloud: Aws) -> Path:
    import boto3

    assert cloud
    boto3.client("s3").create_bucket(Bucket="mine")
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


def test_every_check_is_told_at_once_with_its_fix(cortex: Cortex, pipeline: Path, tmp_path: Path) -> None:
    with serving(Hub()) as url:
        variables = PATIENT | {"HOME": str(tmp_path), "CORTEX_BUCKET": "s3://mine/kit", "HF_ENDPOINT": url}
        done = cortex("preflight", "rehearsal", "--pipeline", pipeline, "--json", **variables)
    assert done.returncode == 78 and "Traceback" not in done.stderr, done.stderr
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert list(found) == [check.name for check in CHECKS]
    assert found["credentials"]["ok"] and found["bucket"]["ok"] and found["machines"]["ok"], found
    assert not [finding for finding in found.values() if "could not be looked at" in finding["detail"]]
    assert found["images"]["fix"] == "make images && make push"
    assert all(finding["fix"] for finding in found.values() if finding["ok"] is False)
    assert "images" in done.stderr and done.stderr.startswith("error: rehearsal cannot be launched: ")


def test_an_unknown_profile_and_an_unknown_region_are_named(cortex: Cortex, pipeline: Path, tmp_path: Path) -> None:
    wrong = cortex("preflight", "cortex-8bb")
    assert wrong.returncode == 78 and "did you mean 'cortex-8b'" in wrong.stderr
    pipeline.write_text(PIPELINE.replace("us-east-1", "us-east-9"), encoding="utf-8")
    variables = PATIENT | {"HOME": str(tmp_path), "CORTEX_BUCKET": "s3://mine/kit"}
    done = cortex("preflight", "rehearsal", "--pipeline", pipeline, **variables)
    assert done.returncode == 78 and "Traceback" not in done.stderr
    assert "us-east-9" in done.stdout + done.stderr


def test_without_any_account_each_check_still_tells_what_it_saw(cortex: Cortex, tmp_path: Path) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    variables = PATIENT | nowhere | {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = cortex("preflight", "cortex-8b", "--json", **variables)
    assert done.returncode == 78 and "Traceback" not in done.stderr, done.stderr
    assert "could not be looked at" not in done.stdout
