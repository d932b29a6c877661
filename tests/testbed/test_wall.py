"""Launches that come to nothing, three at once: each ends within its wall, and says what it cost."""

import json
from pathlib import Path
from typing import Any

import yaml

from cortex.fleet.names import job_name
from cortex.runs.profile import PROFILES
from tests.testbed.conftest import Inside, until
from tests.testbed.machine import FAULT_TAG
from tests.testbed.tasks import bare_pipeline
from tests.testbed.test_pipeline import SMALL

IMAGE = "docker:registry.example/cortex-sft@sha256:" + "0" * 64
MUTE_DOLLARS = 0.002
"""Three quarters of a minute of the machine that is rented."""


def test_each_launch_that_fails_ends_within_its_wall_and_says_what_it_cost(inside: Inside) -> None:
    before = {machine["id"] for machine in inside.machines()}
    launch(inside, "unpulled", {"image_id": IMAGE, "labels": {FAULT_TAG: "unpulled"}}, {"failed_launches": 2})
    launch(inside, "mute", {"labels": {FAULT_TAG: "mute"}}, {"failed_dollars": MUTE_DOLLARS})
    launch(inside, "no-gpu", {}, {}, hardware={"device": "cuda", "accelerator": "L4"})

    ends = {run: ended(inside, run) for run in ("unpulled", "mute", "no-gpu")}
    until(lambda: {machine["id"] for machine in inside.machines()} <= before, "the return of the machines")
    unpulled, mute, blind = ends["unpulled"], ends["mute"], ends["no-gpu"]
    assert "2 launches in a row cost $" in unpulled["reason"] and "(budget.failed_launches 2)" in unpulled["reason"]
    assert "1 launch cost $" in mute["reason"] and f"(budget.failed_dollars {MUTE_DOLLARS:g})" in mute["reason"]
    assert all("then `cortex resume" in end["reason"] and end["stage"] is None for end in (unpulled, mute))
    assert "sft needs 1 GPU, and PyTorch starts 0 on this machine" in blind["reason"], blind
    jobs = inside.jobs()
    assert [jobs[job_name(run)] for run in ends] == ["CANCELLED", "CANCELLED", "FAILED"]
    for run in ends:
        billed, charged = inside.billed(run), inside.charged(run)
        assert abs(charged["spent"] - sum(billed.values())) <= 0.02 * sum(billed.values()), (run, billed, charged)
        assert {machine["reached"] for machine in charged["machines"]} == {run == "no-gpu"}
    assert len(inside.billed("unpulled")) == 2 and len(inside.billed("mute")) == 1


def launch(
    inside: Inside, run: str, resources: dict[str, Any], budget: dict[str, Any], **sections: dict[str, Any]
) -> None:
    """Launch a run on machines with something wrong with them; the checks, which take their time, are overruled."""
    pipeline = bare_pipeline(inside.folder / f"{run}.yaml", ("data", "sft"))
    task = yaml.safe_load(pipeline.read_text())
    task["resources"] |= resources
    pipeline.write_text(yaml.safe_dump(task, sort_keys=False))
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    for section, values in [*SMALL.items(), *sections.items(), ("budget", budget)]:
        raw[section] |= values
    profile: Path = inside.write(f"{run}-profile.yaml", yaml.safe_dump(raw | {"name": "small"}))
    words = ["--profile", profile, "--run", run, "--pipeline", pipeline, "--yes", "--no-follow", "--force"]
    done = inside.run("cortex", "launch", *words, CORTEX_PREFLIGHT_SECONDS="3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "launches that fail are ended by `cortex watch`" in done.stdout, done.stdout


def ended(inside: Inside, run: str) -> dict[str, Any]:
    """A run's status, once it has failed."""

    def failed() -> dict[str, Any] | None:
        found = json.loads(inside.succeed("cortex", "status", run, "--json"))
        return found if found["state"] == "failed" else None

    return until(failed, f"the end of {run}", every=3)
