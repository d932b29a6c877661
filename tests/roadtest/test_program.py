"""The program: refusals before anything is rented, and the output of its verbs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cortex.artifacts.store import Store
from cortex.errors import ConfigError, StageError, UsageError
from cortex.settings import CHECKOUT
from cortex.yaml_reader import read_yaml
from scripts.roadtest.prepare import PROFILE, load_profile, require_limits
from scripts.roadtest.road import Road
from scripts.roadtest.steps.ending import require_no_secret
from tests.conftest import environment
from tests.testbed.catalog import write_catalogs


def program(home: Path, *words: str, bucket: str = "s3://somewhere") -> "subprocess.CompletedProcess[str]":
    write_catalogs(home / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    given = environment(home) | {"HOME": str(home), "CORTEX_HOME": str(home), "CORTEX_BUCKET": bucket}
    return subprocess.run(
        [sys.executable, "-m", "scripts.roadtest", *words],
        env=given | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"},
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "bucket", "code", "message"),
    [
        ((), "s3://somewhere", 77, "refusing to rent machines unasked"),
        ((), "bucket", 78, "set CORTEX_BUCKET=s3://..."),
        (("--step", "reclame", "--yes"), "s3://somewhere", 2, "no step 'reclame': did you mean 'reclaim'"),
        (("--profile", "cortex-8b", "--yes"), "s3://somewhere", 78, "budget.dollars is 40: a road test wants a limit"),
        (("--end", "cortex-70b-20260101-120000-1a2b"), "s3://somewhere", 2, "is no road test"),
    ],
)
def test_what_it_will_not_do_is_a_line_with_the_fix(
    words: tuple[str, ...], bucket: str, code: int, message: str, tmp_path: Path
) -> None:
    done = program(tmp_path, *words, bucket=bucket)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.integration
def test_before_it_asks_it_shows_the_steps_the_machines_and_the_most_that_it_costs(tmp_path: Path) -> None:
    told = " ".join(program(tmp_path).stdout.split())
    assert "at most $4.10, by caps that hold without this machine" in told
    assert "g6.xlarge" in told and "p5.48xlarge" not in told
    assert "SkyPilot runs on this machine: keep it up" in told


@pytest.mark.parametrize(
    ("key", "value"),
    [("dollars", 0), ("dollars", 5.01), ("max_duration", 0), ("failed_dollars", None), ("max_duration", 13)],
)
def test_a_profile_that_might_go_on_billing_is_refused(key: str, value: float | None, tmp_path: Path) -> None:
    raw = read_yaml(PROFILE, exponents=True)
    raw["budget"][key] = value
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{path.name}: budget.{key} is "):
        require_limits(load_profile(str(path)), path)


def test_the_shipped_profile_has_limits() -> None:
    require_limits(load_profile(str(PROFILE)), PROFILE)


def test_an_error_of_a_verb_is_its_own_last_line(road: Road) -> None:
    with pytest.raises(UsageError, match=r"^`cortex find`: .*find"):
        road.verbs.call("find", seconds=60)
    assert [path.name for path in sorted(road.verbs.folder.iterdir())] == ["001-cortex-find.err", "001-cortex-find.out"]


def test_a_program_that_does_not_end_is_ended(road: Road) -> None:
    with pytest.raises(StageError, match="`sleep` has not ended within 0 s"):
        road.verbs.program(["sleep", "600"], "sleep", 0)


def test_a_secret_is_found_wherever_it_stands(tmp_path: Path, store: Store) -> None:
    store.put("runs/r/logs/1-sft.log", b"HF_TOKEN=hf_0123456789")
    with pytest.raises(StageError, match=r"1-sft.log holds HF_TOKEN: .* renew it"):
        require_no_secret({"HF_TOKEN": b"hf_0123456789"}, store.get("runs/r/logs/1-sft.log"), "1-sft.log")
    require_no_secret({"HF_TOKEN": b"hf_9876543210"}, store.get("runs/r/logs/1-sft.log"), "1-sft.log")
