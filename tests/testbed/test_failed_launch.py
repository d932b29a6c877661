"""Launches that fail, four at once: each ends within its wall, and says why, and what it cost."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.fleet.clouds.job_names import job_name
from cortex.profiles.profile_file import PROFILES
from tests.testbed.conftest import Inside, until
from tests.testbed.machine import FAULT_TAG
from tests.testbed.tasks import bare_pipeline
from tests.testbed.test_pipeline import SMALL

IMAGE = "docker:registry.example/cortex-sft@sha256:" + "0" * 64
MUTE_DOLLARS = 0.002
"""The price of three quarters of a minute of the rented machine."""


@pytest.mark.drawn("bed")
def test_each_launch_that_fails_ends_within_its_wall_and_says_what_it_cost(inside: Inside) -> None:
    before = {machine["id"] for machine in inside.machines()}
    # The longest first: it works before it fails.
    launch(inside, "no-gpu", hardware={"device": "cuda", "accelerator": "L4"})
    unpulled = {"resources": {"image_id": IMAGE, "labels": {FAULT_TAG: "unpulled"}}}
    launch(inside, "unpulled", unpulled, budget={"failed_launches": 2})
    mute = {"resources": {"labels": {FAULT_TAG: "mute"}}}
    launch(inside, "mute", mute, budget={"failed_dollars": MUTE_DOLLARS})
    followed = launch(inside, "no-setup", {"setup": "echo there is no room; exit 3"}, follow=True).splitlines()
    assert any(line.startswith("SkyPilot: job/") and ", starting" in line for line in followed), followed
    assert any(line.startswith("failed  ·  spent $") for line in followed), followed
    assert any(line.startswith("SkyPilot: job/") and ", failed setup: Failure: " in line for line in followed)

    ends = {run: ended(inside, run) for run in ("unpulled", "mute", "no-gpu", "no-setup")}
    until(lambda: {machine["id"] for machine in inside.machines()} <= before, "the return of the machines")
    check_reasons(ends)
    jobs = inside.jobs()
    assert [jobs[job_name(run)] for run in ends] == ["CANCELLED", "CANCELLED", "FAILED", "FAILED_SETUP"]
    for run in ends:
        billed, charged = inside.billed(run), inside.charged(run)
        assert abs(charged["spent"] - sum(billed.values())) <= 0.02 * sum(billed.values()), (run, billed, charged)
        assert {machine["reached"] for machine in charged["machines"]} == {run == "no-gpu"}
        assert len(billed) == (2 if run == "unpulled" else 1)
    assert "`cortex run` never began on it" in " ".join(inside.succeed("cortex", "cost", "mute").split())


def check_reasons(ends: dict[str, dict[str, Any]]) -> None:
    """Each status says in a line what is wrong, and, where launches were given up, what to do."""
    unpulled, mute = ends["unpulled"]["reason"], ends["mute"]["reason"]
    assert "2 launches in a row cost $" in unpulled and "(budget.failed_launches 2)" in unpulled
    assert "1 launch cost $" in mute and f"(budget.failed_dollars {MUTE_DOLLARS:g})" in mute
    assert "then `cortex resume unpulled`" in unpulled and "then `cortex resume mute`" in mute
    assert "sft needs 1 GPU, and PyTorch starts 0 on this machine" in ends["no-gpu"]["reason"]
    assert (ends["no-setup"]["skypilot"]["state"], ends["no-setup"]["skypilot"]["failed"]) == ("failed_setup", True)
    assert {run: end["stage"] for run, end in ends.items()} == dict.fromkeys(ends) | {"no-gpu": "sft"}


def launch(
    inside: Inside, run: str, task: dict[str, Any] | None = None, *, follow: bool = False, **sections: dict[str, Any]
) -> str:
    """Launch a run on faulty machines, and return what is printed; the preflight checks, which take their time, are
    overruled."""
    pipeline = bare_pipeline(inside.folder / f"{run}.yaml", ("data", "sft"))
    document = yaml.safe_load(pipeline.read_text())
    for key, value in (task or {}).items():
        document[key] = document[key] | value if isinstance(value, dict) else value
    pipeline.write_text(yaml.safe_dump(document, sort_keys=False))
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    for section, values in [*SMALL.items(), *sections.items()]:
        raw[section] |= values
    profile: Path = inside.write(f"{run}-profile.yaml", yaml.safe_dump(raw | {"name": "small"}))
    words = ["--profile", profile, "--run", run, "--pipeline", pipeline, "--yes", "--force"]
    words += [] if follow else ["--no-follow"]
    done = inside.run("cortex", "launch", *words, CORTEX_PREFLIGHT_SECONDS="3", COLUMNS="300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "launches that fail are ended by `cortex watch`" in done.stdout, done.stdout
    return done.stdout


def ended(inside: Inside, run: str) -> dict[str, Any]:
    """A run's status, once it has failed."""

    def failed() -> dict[str, Any] | None:
        found = json.loads(inside.succeed("cortex", "status", run, "--json"))
        return found if found["state"] == "failed" else None

    return until(failed, f"the end of {run}", every=3)
