"""`make infra-up` and `infra-down`: the requests to Pulumi, the kit's files, and the reasons to keep a stack up.

A stand-in for Pulumi's engine notes what it is asked and prints what it is given.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from cortex.artifacts.artifact import publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, RefusedError, StageError
from cortex.fleet.clouds.job_names import RUN_TAG
from cortex.fleet.home.download import download
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from cortex.settings import CHECKOUT
from infra import stack as stack_module
from infra.outputs import ServerOutputs
from infra.pulumi_program import find_pulumi
from infra.releases import released, require_copies
from infra.stack import PASSPHRASE, Stack, main
from tests.infra.samples import AT_GOOGLE, OUTPUTS, OWNER

ENGINE = """#!/usr/bin/env python3
import os, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
with (here / "asked").open("a") as asked:
    asked.write(" ".join(sys.argv[1:]) + "\\n")
(here / "renew").write_text(os.environ.get("CORTEX_RENEW_SERVER", ""))
(here / "python").write_text(shutil.which("python3"))
if sys.argv[1] == "whoami":
    print((here / "backend.json").read_text())
if sys.argv[1:3] == ["stack", "output"]:
    print((here / "outputs.json").read_text())
sys.exit(5 if (here / "broken").exists() and sys.argv[1] == "up" else 0)
"""


class Engine:
    """The stand-in in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "pulumi"
        program.write_text(ENGINE)
        program.chmod(0o755)
        self.give(OUTPUTS.model_dump_json())
        self.keep_state("https://app.pulumi.com/quant")

    def keep_state(self, url: str) -> None:
        (self.folder / "backend.json").write_text(json.dumps({"user": "quant", "url": url}))

    def give(self, outputs: str) -> None:
        (self.folder / "outputs.json").write_text(outputs)

    @property
    def asked(self) -> list[str]:
        asked = self.folder / "asked"
        return asked.read_text().splitlines() if asked.exists() else []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A stand-in engine on the path, and the shipped program with an owner's values in its settings."""
    folder, program = tmp_path / "bin", tmp_path / "infra"
    folder.mkdir()
    shutil.copytree(CHECKOUT / "infra", program, ignore=shutil.ignore_patterns("__pycache__"))
    for path in program.glob("Pulumi.*.yaml"):
        path.write_text(path.read_text() + "".join(f"    {key}: {json.dumps(value)}\n" for key, value in OWNER.items()))
    monkeypatch.setattr(stack_module, "PROGRAM", program)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name in PASSPHRASE:
        monkeypatch.delenv(name, raising=False)
    return Engine(folder)


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    """An emulated account without resources."""
    with mock_aws():
        yield


def _machine(client: Any, network: str, tags: dict[str, str]) -> str:
    block = client.describe_vpcs(VpcIds=[network])["Vpcs"][0]["CidrBlock"]
    subnet = client.create_subnet(VpcId=network, CidrBlock=block)["Subnet"]["SubnetId"]
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    made = client.run_instances(
        ImageId=client.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": listed}] if listed else [],
    )
    return made["Instances"][0]["InstanceId"]


@pytest.fixture
def bucket(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "bucket"))


def _release(store: Store, run: str, tmp_path: Path) -> None:
    folder = tmp_path / f"made-{run}"
    folder.mkdir()
    (folder / "model.safetensors").write_text("weights")
    publish(folder, store, f"runs/{run}/release", kind="release")


def test_up_selects_the_stack_raises_it_and_points_the_kit_at_it(engine: Engine, tmp_path: Path) -> None:
    written = Stack("dev").up(tmp_path)
    outputs = "stack output --json"
    assert engine.asked == ["whoami --json", "stack select dev --create", outputs, "up", outputs]
    assert [path.name for path in written] == [".sky.yaml", ".env"]
    assert f"CORTEX_BUCKET={OUTPUTS.bucket_url}" in (tmp_path / ".env").read_text()


def test_a_region_is_not_left_while_a_machine_stands_in_it(engine: Engine, tmp_path: Path) -> None:
    engine.give(OUTPUTS.model_copy(update={"more_regions": ("us-west-2", "eu-west-1")}).model_dump_json())
    client = boto3.client("ec2", region_name="eu-west-1")
    network = client.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    client.create_tags(Resources=[network], Tags=[{"Key": "Name", "Value": OUTPUTS.vpc_name}])
    machine = _machine(client, network, {})
    with pytest.raises(RefusedError, match=f"{machine} in eu-west-1 .*--region eu-west-1 --instance-ids {machine}"):
        Stack("dev").up(tmp_path, yes=True)
    assert "up --yes" not in engine.asked
    with pytest.raises(RefusedError, match="in eu-west-1"):
        Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: open_store(str(tmp_path / "b")))
    client.terminate_instances(InstanceIds=[machine])
    Stack("dev").up(tmp_path, yes=True)
    assert "up --yes" in engine.asked


def test_a_stack_of_an_older_checkout_is_raised_anew(engine: Engine, tmp_path: Path) -> None:
    engine.give(json.dumps({"region": "us-east-1"}))
    with pytest.raises(ConfigError, match="run `make infra-up` first"):
        Stack("dev").up(tmp_path, yes=True)
    # The engine was still asked; a real one would have written what is missing.
    assert "up --yes" in engine.asked


def test_preview_changes_nothing(engine: Engine) -> None:
    Stack("prod").preview()
    assert engine.asked == ["whoami --json", "stack select prod --create", "preview --diff"]


@pytest.mark.parametrize("backend", ["s3://our-state", "file://~"])
@pytest.mark.parametrize("verb", ["up", "down", "preview"])
def test_a_passphrase_that_pulumi_would_ask_for_is_asked_for_before_anything_is_raised(
    engine: Engine, tmp_path: Path, backend: str, verb: str
) -> None:
    engine.keep_state(backend)
    words = {"up": [tmp_path], "down": [tmp_path, tmp_path / "home"], "preview": []}[verb]
    with pytest.raises(ConfigError, match=rf"state in {backend}.*export PULUMI_CONFIG_PASSPHRASE \(an empty one"):
        getattr(Stack("dev"), verb)(*words)
    assert engine.asked == ["whoami --json"]


@pytest.mark.parametrize("name", PASSPHRASE)
def test_a_stack_with_a_passphrase_is_raised(
    engine: Engine, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.keep_state("s3://our-state")
    monkeypatch.setenv(name, "")
    Stack("dev").up(tmp_path)
    assert "up" in engine.asked


def test_a_stack_whose_secrets_a_cloud_s_key_encrypts_needs_no_passphrase(engine: Engine, tmp_path: Path) -> None:
    engine.keep_state("s3://our-state")
    settings = stack_module.PROGRAM / "Pulumi.dev.yaml"
    settings.write_text("secretsprovider: awskms://alias/cortex\n" + settings.read_text())
    Stack("dev").up(tmp_path)
    assert "up" in engine.asked


def test_pulumi_runs_the_program_in_this_environment(engine: Engine) -> None:
    Stack("dev").preview()
    assert Path((engine.folder / "python").read_text()).parent == Path(sys.executable).parent


def test_a_stack_that_fails_to_come_up_is_not_pointed_at(engine: Engine, tmp_path: Path) -> None:
    (engine.folder / "broken").touch()
    with pytest.raises(StageError, match=r"`pulumi up` in infra/ failed with 5"):
        Stack("dev").up(tmp_path)
    assert not (tmp_path / ".env").exists()


def test_down_is_refused_while_a_release_is_only_in_the_bucket(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    _release(bucket, "r1", tmp_path)
    with pytest.raises(RefusedError, match=r"r1: there is no receipt.*cortex download r1"):
        Stack("dev").down(tmp_path, tmp_path / "home", open_store=lambda _: bucket)
    assert not any(asked.startswith("destroy") for asked in engine.asked)


def test_down_goes_ahead_once_every_release_is_here(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    Stack("dev").up(tmp_path)
    _release(bucket, "r1", tmp_path)
    download("r1", bucket, home)
    changed = Stack("dev").down(tmp_path, home, yes=True, open_store=lambda _: bucket)
    assert engine.asked[-1] == "destroy --exclude-protected --yes"
    assert [path.name for path in changed] == [".sky.yaml", ".env"]
    assert "CORTEX_BUCKET" not in (tmp_path / ".env").read_text()


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (
            {"skypilot-cluster-name": "sky-jobs-controller-1a2b3c4d-1a2b3c4d", "Name": "x"},
            "(sky-jobs-controller-1a2b3c4d-1a2b3c4d, stopped): `sky down sky-jobs-controller-1a2b3c4d`",
        ),
        (
            {"skypilot-cluster-name": "bench-1a2b3c4d", RUN_TAG: "r1"},
            "(bench-1a2b3c4d, of run r1, stopped): `sky down bench`",
        ),
        ({}, "(without a name, stopped): `aws ec2 terminate-instances --instance-ids i-"),
    ],
)
def test_down_names_what_stands_in_the_network_and_how_it_ends(
    engine: Engine, bucket: Store, tmp_path: Path, tags: dict[str, str], told: str
) -> None:
    client = boto3.client("ec2", region_name=OUTPUTS.region)
    mine, other = (client.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.1.0.0/16", "10.2.0.0/16"))
    client.create_tags(Resources=[mine], Tags=[{"Key": "Name", "Value": OUTPUTS.vpc_name}])
    machine = _machine(client, mine, tags)
    _machine(client, other, {"Name": "somebody's"})
    client.stop_instances(InstanceIds=[machine])
    with pytest.raises(RefusedError) as caught:
        Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert f"{machine} {told}" in str(caught.value) and "somebody's" not in str(caught.value)
    assert not any(asked.startswith("destroy") for asked in engine.asked)
    client.terminate_instances(InstanceIds=[machine])
    Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert engine.asked[-1] == "destroy --exclude-protected --yes"


def test_down_leaves_the_stacks_own_server_to_pulumi(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    client = boto3.client("ec2", region_name=OUTPUTS.region)
    network = client.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    client.create_tags(Resources=[network], Tags=[{"Key": "Name", "Value": OUTPUTS.vpc_name}])
    server = ServerOutputs(instance=_machine(client, network, {"Name": "cortex-dev-server"}), port=46590)
    engine.give(OUTPUTS.model_copy(update={"server": server}).model_dump_json())
    Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert engine.asked[-1] == "destroy --exclude-protected --yes"


def _launched(store: Store, run: str) -> None:
    create_run(store, run, load_profile("rehearsal"))
    Ledger(store, run, Lease.take(store, run).epoch).append("launched", job=1, name=f"cortex-{run}")


def test_down_is_refused_while_a_run_is_under_way_though_no_machine_stands(
    engine: Engine, bucket: Store, tmp_path: Path
) -> None:
    _launched(bucket, "r1")
    _launched(bucket, "r2")
    create_run(bucket, "rehearsed", load_profile("rehearsal"))
    Ledger(bucket, "r2", Lease.take(bucket, "r2").epoch).append("stopped", job=1)
    with pytest.raises(RefusedError, match=r"^r1 of .* may still be under way: `cortex stop r1`, then run this again"):
        Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert not any(asked.startswith("destroy") for asked in engine.asked)
    Ledger(bucket, "r1", Lease.take(bucket, "r1").epoch).append("stopped", job=1)
    Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert engine.asked[-1] == "destroy --exclude-protected --yes"


def test_a_server_is_made_anew_only_while_nothing_runs(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    Stack("dev").up(tmp_path, yes=True)
    assert (engine.folder / "renew").read_text() == "" and not any("--replace" in asked for asked in engine.asked)
    _launched(bucket, "r1")
    with pytest.raises(RefusedError, match="r1"):
        Stack("dev").up(tmp_path, renew_server=True, open_store=lambda _: bucket)
    Ledger(bucket, "r1", Lease.take(bucket, "r1").epoch).append("stopped", job=1)
    Stack("dev").up(tmp_path, yes=True, renew_server=True, open_store=lambda _: bucket)
    assert "up --replace **$aws:ec2/instance:Instance::server --yes" in engine.asked


def test_down_says_that_aws_cannot_be_asked(
    engine: Engine, bucket: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConfigError, match=r"cannot look for machines in network cortex-dev of us-east-1"):
        Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert not any(asked.startswith("destroy") for asked in engine.asked)


def test_down_asks_both_buckets(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    engine.give(AT_GOOGLE.model_dump_json())
    _release(bucket, "r9", tmp_path)
    empty = open_store(str(tmp_path / "empty"))
    with pytest.raises(RefusedError, match="r9"):
        Stack("dev").down(
            tmp_path, tmp_path / "home", open_store=lambda url: bucket if url.startswith("gs://") else empty
        )


def test_down_asks_google_for_machines_too(engine: Engine, bucket: Store, tmp_path: Path) -> None:
    engine.give(AT_GOOGLE.model_dump_json())
    with pytest.raises(ConfigError, match=r"network cortex-dev of project cortex-lab \(.*'gcloud'\): install gcloud"):
        Stack("dev").down(tmp_path, tmp_path / "home", yes=True, open_store=lambda _: bucket)
    assert not any(asked.startswith("destroy") for asked in engine.asked)


def test_down_twice_is_no_error(engine: Engine, tmp_path: Path) -> None:
    engine.give("{}")
    assert Stack("dev").down(tmp_path, tmp_path / "home", yes=True) == []
    assert engine.asked[-1] == "destroy --exclude-protected --yes"


def test_a_damaged_or_missing_copy_is_no_proof(bucket: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    _release(bucket, "r1", tmp_path)
    copy = download("r1", bucket, home).path
    require_copies(bucket, home)
    (copy / "model.safetensors").write_text("weightS")
    with pytest.raises(RefusedError, match="damaged"):
        require_copies(bucket, home)
    shutil.rmtree(copy)
    with pytest.raises(RefusedError, match=r"r1.*cortex download r1"):
        require_copies(bucket, home)


def test_only_complete_releases_count(bucket: Store, tmp_path: Path) -> None:
    bucket.put("runs/r1/profile.json", b"{}")
    bucket.put("runs/r2/release/model.safetensors", b"half")
    bucket.put("runs/r3/sft/artifact/release/manifest.json", b"{}")
    assert released(bucket) == []
    _release(bucket, "r4", tmp_path)
    assert released(bucket) == ["r4"]


def test_the_message_counts_the_others(bucket: Store, tmp_path: Path) -> None:
    for run in ("r1", "r2", "r3"):
        _release(bucket, run, tmp_path)
    with pytest.raises(RefusedError, match=r"r1.*\(2 more releases like it\)"):
        require_copies(bucket, tmp_path / "home")


def test_without_pulumi_the_message_says_where_to_get_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"cannot be brought from get\.pulumi\.com \(.*refused.*\): https://"):
        Stack("dev").preview()


INSTALLER = """#!/bin/sh
root=$3
/bin/mkdir -p "$root/bin"
printf '#!/bin/sh\\necho v%s\\n' "$5" > "$root/bin/pulumi"
/bin/chmod 755 "$root/bin/pulumi"
"""


def test_pulumi_is_brought_once_in_the_version_of_the_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def download(url: str, path: str) -> None:
        asked.append(url)
        Path(path).write_text(INSTALLER, encoding="utf-8")

    monkeypatch.setattr("pulumi.automation._cmd._download_to_file", download)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = Path(find_pulumi(tmp_path / "home"))
    assert program == tmp_path / "home" / "pulumi" / version("pulumi") / "bin" / "pulumi"
    assert "bringing Pulumi" in capsys.readouterr().out and asked == ["https://get.pulumi.com/install.sh"]
    assert find_pulumi(tmp_path / "home") == str(program)
    assert "bringing" not in capsys.readouterr().out and len(asked) == 1
    program.write_text("half of a program", encoding="utf-8")
    assert find_pulumi(tmp_path / "home") == str(program) and len(asked) == 2
    (tmp_path / "pulumi").write_text("#!/bin/sh\n")
    (tmp_path / "pulumi").chmod(0o755)
    assert find_pulumi(tmp_path / "home") == str(tmp_path / "pulumi"), "one of the user's own goes before it"


def test_an_installer_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho there is no such version; exit 1\n"
    monkeypatch.setattr(
        "pulumi.automation._cmd._download_to_file", lambda url, path: Path(path).write_text(script, encoding="utf-8")
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"\(there is no such version\): https://"):
        find_pulumi(tmp_path / "home")


def test_the_command_line_ends_with_the_errors_exit_code(
    engine: Engine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as error:
        main(["up", "staging"])
    assert error.value.code == 78
    assert "stacks are dev, prod" in capsys.readouterr().err
    main(["preview", "dev"])
    assert engine.asked[-1] == "preview --diff"
    assert "up and idle, this stack costs $" in capsys.readouterr().out
