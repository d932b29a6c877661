"""A stack's outputs for the kit: SkyPilot takes the configuration, and the kit's files keep all else in them."""

import fnmatch
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sky import skypilot_config
from sky.provision.azure import config as sky_azure
from sky.utils import common_utils, config_utils, schemas

from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError
from cortex.settings import CHECKOUT, Settings
from infra import kit_files
from infra.outputs import GroundOutputs, environment, sky_config
from tests.infra.samples import AT_GOOGLE, OUTPUTS

WITHOUT_SERVER = OUTPUTS.model_copy(update={"server": None})


def _validate(config: dict[str, object]) -> None:
    common_utils.validate_schema(config, schemas.get_config_schema(), "the configuration is not SkyPilot's: ")


@pytest.mark.parametrize("outputs", [OUTPUTS, WITHOUT_SERVER, AT_GOOGLE])
def test_skypilot_accepts_the_configuration(outputs: GroundOutputs) -> None:
    _validate(sky_config(outputs))
    with pytest.raises(ValueError, match="not SkyPilot's"):
        _validate({"aws": {**sky_config(OUTPUTS)["aws"], "vpc": "x"}})
    with pytest.raises(ValueError, match="not SkyPilot's"):
        _validate({"gcp": {**sky_config(AT_GOOGLE)["gcp"], "remote_identity": "skypilot-v1"}})


def test_skypilot_accepts_what_the_guide_says_of_azure() -> None:
    (block,) = re.findall(r"```yaml\n(azure:.*?)```", (CHECKOUT / "docs/ground.md").read_text(), re.DOTALL)
    given = yaml.safe_load(block)
    _validate(given)
    identity = given["azure"]["remote_identity"]
    assert sky_azure._resolve_custom_managed_identity(identity, "any", "any") == identity


def test_no_machine_gets_the_credentials_for_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SkyPilot copies credentials of every cloud to the machines of each, unless it is told NO_UPLOAD."""
    kit_files.write(AT_GOOGLE, tmp_path)
    config = config_utils.Config.from_dict(yaml.safe_load((tmp_path / ".sky.yaml").read_text()))
    monkeypatch.setattr(skypilot_config, "_get_loaded_config", lambda: config)
    asked = skypilot_config.get_effective_region_config(
        cloud="gcp", region="us-central1", keys=("remote_identity",), default_value=None
    )
    assert asked == schemas.RemoteIdentityOptions.NO_UPLOAD.value


def test_what_is_for_google_is_written_down_and_the_bucket_stays_awss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("CORTEX_TEACHER_API_KEY=abc\n")
    kit_files.write(AT_GOOGLE, tmp_path)
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines[-3:] == [
        "GOOGLE_CLOUD_PROJECT=cortex-lab",
        "# at Google: CORTEX_BUCKET=gs://cortex-dev-artifacts-cortex-lab",
        "# at Google: CORTEX_REGISTRY=us-central1-docker.pkg.dev/cortex-lab/cortex-dev",
    ]
    assert f"CORTEX_BUCKET={OUTPUTS.bucket_url}" in lines
    kit_files.write(AT_GOOGLE, tmp_path)
    assert (tmp_path / ".env").read_text().splitlines() == lines
    for name, value in environment(AT_GOOGLE).items():
        monkeypatch.setenv(name, value)
    assert open_store("gs://cortex-dev-artifacts-cortex-lab").url == "gs://cortex-dev-artifacts-cortex-lab"
    kit_files.remove(AT_GOOGLE, tmp_path)
    assert (tmp_path / ".env").read_text() == "CORTEX_TEACHER_API_KEY=abc\n"
    assert (tmp_path / ".sky.yaml").read_text() == ""


def test_a_ground_at_google_that_is_given_up_is_forgotten_and_anybody_elses_is_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOOGLE_CLOUD_PROJECT=mine\n")
    (tmp_path / ".sky.yaml").write_text("gcp:\n  vpc_name: mine\n")
    kit_files.write(OUTPUTS, tmp_path)
    assert "GOOGLE_CLOUD_PROJECT=mine" in (tmp_path / ".env").read_text()
    assert yaml.safe_load((tmp_path / ".sky.yaml").read_text())["gcp"] == {"vpc_name": "mine"}
    kit_files.write(AT_GOOGLE, tmp_path)
    kit_files.write(OUTPUTS, tmp_path)
    assert "oogle" not in (tmp_path / ".env").read_text() and "GOOGLE" not in (tmp_path / ".env").read_text()
    assert "gcp" not in yaml.safe_load((tmp_path / ".sky.yaml").read_text())


def test_skypilot_reads_our_values_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit_files.write(OUTPUTS, tmp_path)
    config = config_utils.Config.from_dict(yaml.safe_load((tmp_path / ".sky.yaml").read_text()))
    monkeypatch.setattr(skypilot_config, "_get_loaded_config", lambda: config)

    def ours(key: str) -> object:
        return skypilot_config.get_effective_region_config(
            cloud="aws", region="us-east-1", keys=(key,), default_value=None
        )

    assert ours("vpc_names") == "cortex-dev"
    assert ours("security_group_name") == "cortex-dev-workers"
    assert ours("disk_encrypted") is True


@pytest.mark.parametrize(
    ("outputs", "cluster", "identity"),
    [
        (WITHOUT_SERVER, "sft-1-ab12", "cortex-dev-worker"),
        (WITHOUT_SERVER, "workbench", "cortex-dev-worker"),
        (WITHOUT_SERVER, "sky-jobs-controller-1a2b3c4d", "LOCAL_CREDENTIALS"),
        (WITHOUT_SERVER, "sky-serve-controller-1a2b3c4d", "LOCAL_CREDENTIALS"),
        (OUTPUTS, "sft-1-ab12", "cortex-dev-worker"),
        (OUTPUTS, "sky-jobs-controller-1a2b3c4d", "cortex-dev-worker"),
    ],
)
def test_only_controllers_without_a_server_get_credentials(outputs: GroundOutputs, cluster: str, identity: str) -> None:
    rules = sky_config(outputs)["aws"]["remote_identity"]
    matching = [value for rule in rules for pattern, value in rule.items() if fnmatch.fnmatchcase(cluster, pattern)]
    assert matching[0] == identity


def test_the_environment_opens_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(OUTPUTS).items():
        monkeypatch.setenv(name, value)
    assert open_store(Settings().bucket_url).url == "s3://cortex-dev-artifacts-123456789012-us-east-1"


def test_printed_outputs_are_read_and_missing_ones_named() -> None:
    assert GroundOutputs.parse(OUTPUTS.model_dump_json()) == OUTPUTS
    partial = {key: value for key, value in OUTPUTS.model_dump().items() if key != "vpc_name"}
    with pytest.raises(ConfigError, match=r"stack output vpc_name: .*make infra-up"):
        GroundOutputs.parse(json.dumps(partial))
    with pytest.raises(ConfigError):
        GroundOutputs.parse("not json")


def test_files_keep_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CORTEX_TEACHER_API_KEY=abc\nexport CORTEX_BUCKET=s3://old\n")
    (tmp_path / ".sky.yaml").write_text("aws:\n  use_ssm: false\n  vpc_names: old\njobs:\n  bucket: s3://logs\n")
    kit_files.write(OUTPUTS, tmp_path)
    assert (tmp_path / ".env").read_text().splitlines() == [
        "CORTEX_TEACHER_API_KEY=abc",
        f"CORTEX_BUCKET={OUTPUTS.bucket_url}",
        "CORTEX_REGISTRY=123456789012.dkr.ecr.us-east-1.amazonaws.com/cortex-dev",
        f"CORTEX_RUN_POLICY={OUTPUTS.run_policy}",
        f"CORTEX_NETWORK_REGIONS={OUTPUTS.region}",
        "AWS_REGION=us-east-1",
        "CORTEX_SERVER=i-0123456789abcdef0",
    ]
    config = yaml.safe_load((tmp_path / ".sky.yaml").read_text())
    assert config["jobs"] == {"bucket": "s3://logs"}
    assert config["aws"]["use_ssm"] is False and config["aws"]["vpc_names"] == "cortex-dev"
    once = {path: path.read_text() for path in kit_files.write(OUTPUTS, tmp_path)}
    assert once == {path: path.read_text() for path in kit_files.write(OUTPUTS, tmp_path)}


def test_taking_out_leaves_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CORTEX_TEACHER_API_KEY=abc\n")
    (tmp_path / ".sky.yaml").write_text("aws:\n  use_ssm: false\n")
    kit_files.write(OUTPUTS, tmp_path)
    assert len(kit_files.remove(OUTPUTS, tmp_path)) == 2
    assert (tmp_path / ".env").read_text() == "CORTEX_TEACHER_API_KEY=abc\n"
    assert yaml.safe_load((tmp_path / ".sky.yaml").read_text()) == {"aws": {"use_ssm": False}}
    assert kit_files.remove(OUTPUTS, tmp_path) == []


def test_skypilot_takes_the_server_for_another_machines(tmp_path: Path) -> None:
    kit_files.write(OUTPUTS, tmp_path)
    text = "from sky.server import common; print(common.get_server_url(), common.is_api_server_local())"
    variables = {"SKYPILOT_PROJECT_CONFIG": str(tmp_path / ".sky.yaml"), "HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["http://127.0.0.1:46590", "False"], "else it would start one of its own here"


def test_a_server_that_is_given_up_is_forgotten_and_anybody_elses_is_not(tmp_path: Path) -> None:
    (tmp_path / ".sky.yaml").write_text("api_server:\n  endpoint: https://sky.example.com\n")
    kit_files.write(WITHOUT_SERVER, tmp_path)
    assert "sky.example.com" in (tmp_path / ".sky.yaml").read_text()
    kit_files.write(OUTPUTS, tmp_path)
    kit_files.write(WITHOUT_SERVER, tmp_path)
    assert "api_server" not in yaml.safe_load((tmp_path / ".sky.yaml").read_text())
    assert "CORTEX_SERVER" not in (tmp_path / ".env").read_text()


def test_taking_one_stack_out_leaves_another_in(tmp_path: Path) -> None:
    other = OUTPUTS.model_copy(update={"artifacts_bucket": "another", "vpc_name": "cortex-prod"})
    kit_files.write(other, tmp_path)
    kit_files.remove(OUTPUTS, tmp_path)
    assert "CORTEX_BUCKET=s3://another" in (tmp_path / ".env").read_text()
    assert yaml.safe_load((tmp_path / ".sky.yaml").read_text())["aws"]["vpc_names"] == "cortex-prod"


def test_a_broken_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".sky.yaml").write_text("aws: [")
    with pytest.raises(ConfigError, match=r"\.sky\.yaml is not YAML"):
        kit_files.write(OUTPUTS, tmp_path)
    assert (tmp_path / ".sky.yaml").read_text() == "aws: [" and not (tmp_path / ".env").exists()


def test_the_environment_file_is_for_its_owner_only(tmp_path: Path) -> None:
    kit_files.write(OUTPUTS, tmp_path)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
