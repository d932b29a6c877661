"""`cortex serve` and `cortex unserve` as programs: their refusals, and what they show. The test bed serves for real."""

import datetime as dt
from functools import partial
from pathlib import Path

import pytest
import yaml

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.serving.api_keys import make_key, read_keys, revoke_key, write_key
from tests.artifacts.strategies import write
from tests.conftest import Cortex
from tests.testbed.catalog import price, write_catalogs
from tests.verbs.test_launching import OFFLINE, told

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FILES = {"model/config.json": b"{}", "model/model.safetensors": b"w" * 100, "w4/config.json": b"{}"}


@pytest.fixture
def serving(cortex: Cortex, tmp_path: Path) -> Cortex:
    """`cortex` for a user whose bucket holds a released run, and one that is not."""
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    store = FolderStore(tmp_path / "bucket")
    for run in ("done", "begun"):
        create_run(store, run, load_profile("rehearsal"))
    publish(write(tmp_path / "r", FILES), store, "runs/done/release", kind="release")
    write_key(store, make_key("ada", ("domains",), 60, NOW)[1])
    return partial(cortex, HOME=str(tmp_path), CORTEX_BUCKET=str(tmp_path / "bucket"), **OFFLINE)


REFUSALS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a run that is not there": (("serve", "dune"), 2, "no run 'dune'"),
    "a run without a release": (("serve", "begun"), 65, "run begun has no release in"),
    "a copy that is not there": (("serve", "done", "--copy", "w8"), 2, "has no copy 'w8': it has model, w4"),
    "nobody to ask": (("serve", "done"), 77, "no terminal to ask at: add --yes (YES=1)"),
    "a bucket that is a folder": (("serve", "done", "--yes"), 78, "set CORTEX_BUCKET=s3://..."),
    "replicas that cannot be": (("serve", "done", "--replicas", "3", "--max-replicas", "2"), 2, "2 is less than 3"),
    "a service's name": (("serve", "done", "--service", "My_API"), 2, "--service 'My_API': name it with"),
    "a gateway of nothing": (("gateway",), 2, "name a run or a folder, with --copy if need be; or --routes FILE alone"),
    "a run and routes": (("gateway", "done", "--routes", "routes.yaml"), 2, "or --routes FILE alone"),
    "routes that are not there": (
        ("gateway", "--routes", "no.yaml"),
        78,
        "no.yaml: there is no such file: write one as",
    ),
    "no service of the kit": (("rent", "serve", "--yes"), 2, "is a service, not a machine: `cortex serve RUN` starts"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_served_is_one_line(case: str, serving: Cortex) -> None:
    words, code, message = REFUSALS[case]
    assert message in told(serving(*words), code)


def test_replicas_that_would_answer_nobody_are_not_rented(serving: Cortex, tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "bucket")
    for number in read_keys(store):
        revoke_key(store, number, NOW)
    assert "holds no API key" in told(serving("serve", "done", "--yes"), 77)


def test_a_release_is_judged_before_anything_is_rented(serving: Cortex, tmp_path: Path) -> None:
    refused = told(serving("serve", "done", "--dry-run", CORTEX_TRUST="signed"), 77)
    assert "the release of run done is unsigned, and CORTEX_TRUST=signed asks for a signature" in refused
    manifest = tmp_path / "bucket" / "runs" / "done" / "release" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"release"', b'"relaese', 1))
    assert "manifest" in told(serving("serve", "done", "--dry-run"), 65)


def test_a_dry_run_shows_dollars_at_both_ends(serving: Cortex, tmp_path: Path) -> None:
    file = yaml.safe_load((Path(__file__).parents[2] / "jobs" / "serve.yaml").read_text())
    machines = {"infra": "aws", "cpus": "4+", "use_spot": True, "ports": 8080}
    job = tmp_path / "mine.yaml"
    job.write_text(yaml.safe_dump({**file, "resources": machines}))
    done = serving("serve", "done", "--job", job, "--replicas", "1", "--copy", "w4", "--dry-run")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    spot, on_demand = (price("m6i.xlarge", "us-west-2", kind) for kind in (True, False))
    assert f"1 replica: ${spot:.2f} to " in shown and f"2 replicas: ${2 * spot:.2f} to " in shown, shown
    assert spot < on_demand and "while machines on demand stand in for spot ones that start" in shown
    name, task = yaml.safe_load_all((tmp_path / "home" / "work" / "cortex-done" / "launch.yaml").read_text())
    assert name == {"name": "cortex-done"}
    assert (task["envs"]["RUN_ID"], task["envs"]["SERVED_COPY"]) == ("done", "w4")
    assert task["service"]["replica_policy"]["min_replicas"] == 1


def test_without_a_service_there_is_nothing_to_end(serving: Cortex, tmp_path: Path) -> None:
    done = serving("unserve")
    assert (done.returncode, done.stdout) == (0, "nothing to end: SkyPilot has no service\n"), done.stderr
    assert not (tmp_path / ".sky" / "api_server").exists(), "a server was started only to say so"
