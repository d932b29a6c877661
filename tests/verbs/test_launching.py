"""The verbs that rent machines, as programs: their refusals, and what they show before they rent."""

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.fleet.clouds.job_names import job_name
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.artifacts.strategies import write
from tests.conftest import Cortex, environment
from tests.test_cli import told
from tests.testbed.catalog import price, write_catalogs

pytestmark = pytest.mark.integration

LAUNCH = ("launch", "--profile", "rehearsal")

OFFLINE = {
    "COLUMNS": "250",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}
"""Variables for a wide terminal, and for services that do not answer."""

REFUSALS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no terminal": (LAUNCH, 77, "no terminal to ask at: add --yes (YES=1)"),
    "a bucket that is a folder": ((*LAUNCH, "--yes"), 78, "set CORTEX_BUCKET=s3://... (`make infra-up`"),
    "no such profile": (("launch", "--profile", "cortex-7b"), 78, "no profile 'cortex-7b': did you mean 'cortex-70b'"),
    "no such pipeline": ((*LAUNCH, "--pipeline", "none.yaml"), 78, "none.yaml cannot be read: No such file"),
    "no such last stage": ((*LAUNCH, "--through", "gropo"), 2, "no stage 'gropo': did you mean 'grpo'"),
    "no such last stage here": (("rehearse", "--through", "gropo"), 2, "no stage 'gropo': did you mean 'grpo'"),
    "a run id that cannot be one": ((*LAUNCH, "--run", "../r"), 2, "run id '../r' must be"),
    "an unknown run to resume": (("resume", "r9"), 2, "no run 'r9'"),
    "a budget below nothing": (("resume", "done", "--budget", "-5"), 2, "--budget -5 is no cap"),
    "a budget that is no number": (("resume", "done", "--budget", "nan"), 2, "--budget nan is no cap"),
    "a budget without end": (("resume", "done", "--budget", "inf"), 2, "--budget inf is no cap"),
    "a deadline that is no time": (("resume", "done", "--deadline", "nan"), 2, "--deadline nan is no time"),
    "a longest time that is none": (("resume", "done", "--max-duration", "0"), 2, "--max-duration 0 is no time"),
    "a deadline of unknown work": ((*LAUNCH, "--deadline", "5"), 78, "needs an estimate of the work: add `estimates`"),
    "a deadline that nobody could keep": (
        ("launch", "--profile", "cortex-70b", "--deadline", "1"),
        78,
        "a deadline of 1 hours cannot be met: ",
    ),
    "a finished run": (("resume", "done"), 65, "run done is finished: `cortex show done`"),
    "no such job": (("rent", "techer"), 2, "no job 'techer': did you mean 'teacher'"),
    "images that were never pushed": (("rent", "workbench", "--yes"), 78, "`make images && make push`"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_launched_is_one_line_with_the_fix(
    case: str, store: Store, profile: Profile, tmp_path: Path, cortex: Cortex
) -> None:
    create_run(store, "done", profile)
    publish(write(tmp_path / "r", {"w": b"1"}), store, "runs/done/release", kind="release")
    words, code, message = REFUSALS[case]
    assert message in told(cortex(*words), code)


def test_an_unknown_run_cannot_be_stopped(tmp_path: Path, cortex: Cortex) -> None:
    assert "no run 'r9'" in told(cortex("stop", "r9", HOME=str(tmp_path)), 2)


def test_a_dry_run_shows_the_plan_and_writes_what_would_be_submitted(tmp_path: Path, cortex: Cortex) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    task = {"infra": "aws", "accelerators": "H100:8", "use_spot": True}
    secrets = {"HF_TOKEN": "", "CORTEX_TEACHER_API_KEY": ""}
    pipeline = tmp_path / "mine.yaml"
    pipeline.write_text(yaml.safe_dump({"name": "sft", "resources": task, "secrets": secrets, "run": "cortex run sft"}))
    done = cortex(
        *("launch", "--profile", "cortex-70b", "--run", "r1", "--pipeline", pipeline, "--dry-run"),
        HOME=str(tmp_path),
        HF_TOKEN="hush",
        **OFFLINE,
    )
    shown = " ".join(done.stdout.split())
    spot, on_demand = (price("p5.48xlarge", "us-west-2", spot) for spot in (True, False))
    assert f"aws p5.48xlarge │ H100:8 │ {spot:.2f} │ {on_demand:.2f} │ us-west-2" in shown, done.stdout + done.stderr
    assert (
        f"${load_profile('cortex-70b').budget.dollars:.2f} for the whole run" in shown
        and "launches given up after 5 in a row or at $40.00 without a sign of life" in shown
        and "CORTEX_TEACHER_API_KEY NOT SET, HF_TOKEN set" in shown
    )
    written = (tmp_path / "home" / "work" / "r1" / "launch.yaml").read_text()
    name, sft = yaml.safe_load_all(written)
    assert name == {"name": job_name("r1")} and sft["resources"]["accelerators"] == "H100:8"
    assert "hush" not in written + done.stdout + done.stderr
    assert not (tmp_path / "home" / "bucket").exists(), "a dry run enters nothing"
    # No cloud can be rented from here: the checks say so, and the last line offers what needs none.
    assert done.returncode == 78 and "make rehearse" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_deadline_is_shown_with_its_machines_and_both_kinds_are_submitted(tmp_path: Path, cortex: Cortex) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    pipeline, resources = tmp_path / "mine.yaml", {"infra": "aws", "accelerators": "H100:8", "use_spot": True}
    stages = [{"name": name, "resources": resources, "run": f"cortex run {name}"} for name in ("sft", "grpo")]
    pipeline.write_text(yaml.safe_dump_all(stages))
    done = cortex(
        *("launch", "--profile", "cortex-70b", "--run", "r1", "--pipeline", pipeline, "--deadline", "40", "--dry-run"),
        HOME=str(tmp_path),
        **OFFLINE,
    )
    shown = " ".join(done.stdout.split())
    assert "UTC, 40 h from the launch" in shown and "on spot, and on demand where there is none" in shown, shown
    assert "spot, then on-demand: " in shown and "% late" in shown
    written = (tmp_path / "home" / "work" / "r1" / "launch.yaml").read_text()
    _, *tasks = yaml.safe_load_all(written)
    assert [[entry["use_spot"] for entry in task["resources"]["ordered"]] for task in tasks] == [[True, False]] * 2


@pytest.mark.parametrize(
    ("variables", "shown", "failed"),
    [
        ({}, "WANDB_API_KEY is not set, and the profile draws in wandb", True),
        ({"WANDB_API_KEY": "hush", "WANDB_BASE_URL": "http://127.0.0.1:9"}, "wandb could not be asked", False),
        ({"WANDB_API_KEY": "hush", "WANDB_BASE_URL": "http://far.example"}, "over plain HTTP", True),
    ],
)
def test_a_trackers_key_is_asked_for_before_anything_is_rented_and_shown_nowhere(
    variables: dict[str, str], shown: str, failed: bool, tmp_path: Path, cortex: Cortex
) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    profile = tmp_path / "tracked.yaml"
    shipped = (PROFILES / "cortex-70b.yaml").read_text(encoding="utf-8")
    profile.write_text(shipped.replace("tracking: [tensorboard]", "tracking: [wandb]"), encoding="utf-8")
    pipeline, resources = tmp_path / "mine.yaml", {"infra": "aws", "accelerators": "H100:8", "use_spot": True}
    stages = [{"name": name, "resources": resources, "run": f"cortex run {name}"} for name in ("sft", "evaluate")]
    pipeline.write_text(yaml.safe_dump_all(stages))
    done = cortex(
        *("launch", "--profile", profile, "--run", "r1", "--pipeline", pipeline, "--dry-run"),
        HOME=str(tmp_path),
        **OFFLINE,
        **variables,
    )
    output = done.stdout + done.stderr
    assert shown in " ".join(done.stdout.split()) and "Traceback" not in output, output
    assert ("tracking" in done.stderr.splitlines()[-1]) is failed and done.returncode == 78
    assert f"WANDB_API_KEY {'set' if variables else 'NOT SET'}" in " ".join(done.stdout.split())
    written = (tmp_path / "home" / "work" / "r1" / "launch.yaml").read_text()
    _, sft, evaluate = yaml.safe_load_all(written)
    assert sft["secrets"]["WANDB_API_KEY"] == "" and "WANDB_API_KEY" not in evaluate["secrets"]
    assert "hush" not in output + written


@pytest.mark.parametrize(
    ("words", "limit", "skew"),
    [((), "$1,234.00", -400 * 86_400.0), ((), "$1,234.00", 400 * 86_400.0), (("--budget", "2000"), "$2,000.00", 0.0)],
)
def test_a_run_is_resumed_under_the_cap_that_it_was_last_raised_to_by_any_clock(
    words: tuple[str, ...], limit: str, skew: float, store: Store, tmp_path: Path, cortex: Cortex
) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    create_run(store, "r1", load_profile("cortex-70b"))
    Ledger(store, "r1", 1, lambda: time.time() + skew).append("budget_raised", dollars=999)
    Ledger(store, "r1", 2).append("budget_raised", dollars=1234)
    pipeline = tmp_path / "mine.yaml"
    resources = {"infra": "aws", "accelerators": "H100:8", "use_spot": True}
    pipeline.write_text(yaml.safe_dump({"name": "sft", "resources": resources, "run": "cortex run sft"}))
    done = cortex(
        *("resume", "r1", *words, "--pipeline", pipeline, "--dry-run"),
        HOME=str(tmp_path),
        **OFFLINE,
    )
    shown = " ".join(done.stdout.split())
    assert f"{limit} for the whole run" in shown, done.stdout + done.stderr
    assert f"the budget is {limit.removesuffix('.00')};" in shown, done.stdout


INTERRUPTED = """
from cortex import cli
from cortex.fleet.launch.jobs import SkyPilotJobs
def interrupt(*_):
    raise KeyboardInterrupt
SkyPilotJobs.start_cluster = interrupt
cli.main()
"""


@pytest.mark.parametrize(("autostop", "until"), [(True, "it ends itself when it is idle"), (False, "and costs, until")])
def test_a_machine_of_ones_own_says_how_long_it_stays_and_ctrl_c_that_it_may_come(
    autostop: bool, until: str, tmp_path: Path
) -> None:
    catalogs = tmp_path / ".sky" / "catalogs" / "v8"
    write_catalogs(catalogs, {"us-east-1": "ami-0"})
    if autostop:
        _sell_nothing_on_spot(catalogs / "aws" / "vms.csv")  # to compare with: that there is none is no fault
    mine = tmp_path / "mine.yaml"
    resources = {"infra": "aws", "cpus": "4+"} | ({"autostop": {"idle_minutes": 5, "down": True}} if autostop else {})
    mine.write_text(yaml.safe_dump({"resources": resources, "run": "true"}))
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "rent", str(mine), "--yes"],
        env=environment(tmp_path) | {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert until in done.stdout
    assert "cortex-mine may come up all the same: `.venv/bin/sky down cortex-mine` ends it" in done.stderr
    assert "Traceback" not in done.stderr


def _sell_nothing_on_spot(catalog: Path) -> None:
    with catalog.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with catalog.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "SpotPrice": ""} for row in rows)
