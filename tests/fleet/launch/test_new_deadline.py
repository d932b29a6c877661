"""A deadline at the launch: the machines it asks for, and refused deadlines that no machine could keep."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sky.utils import dag_utils

from cortex.errors import ConfigError
from cortex.fleet.estimate.work_estimate import WorkEstimate
from cortex.fleet.launch.new_deadline import make_deadline
from cortex.fleet.tasks.renting import apply_renting
from cortex.fleet.tasks.run_tasks import dump, resolve
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.deadline_rule import NET
from cortex.runs.events import Event
from cortex.runs.pipeline import SKY_YAML
from cortex.settings import Settings

S3 = Settings(bucket="s3://kit", owner="ada")
HOUR = 3600.0
NOW = 1_000_000.0
KNOWN = WorkEstimate(
    work=17 * HOUR,
    restart=600.0,
    save=60.0,
    basis="measured",
    intervals={"sft": 800.0, "grpo": 1200.0},
    stages={"sft": 4 * HOUR, "grpo": 12 * HOUR, "export": HOUR},
)
NEED = 17 * HOUR + 6 * 600
"""The run's work, and a start of each of its six tasks."""


def entries(task: dict[str, Any]) -> list[tuple[bool, str | None, float | None]]:
    return [
        (entry["use_spot"], entry.get("accelerators"), entry.get("max_hourly_cost"))
        for entry in task["resources"]["ordered"]
    ]


def test_a_profile_with_a_deadline_takes_spot_first_then_on_demand_and_its_own_kind_alone() -> None:
    profile = load_profile("cortex-70b", {"budget.hours": 60})
    documents = resolve(profile, "r1", settings=S3, environment={})
    tasks = {document["name"]: document for document in documents}
    assert entries(tasks["grpo"]) == [(True, "H100:8", 45), (False, "H100:8", None)]
    assert entries(tasks["data"]) == [(True, None, 1), (False, None, None)]
    for document in documents:
        common = document["resources"]
        assert "use_spot" not in common and "max_hourly_cost" not in common and "any_of" not in common
        assert common["job_recovery"]["recover_on_exit_codes"] == [75]
    # SkyPilot reads them in this order, and the price cap of spot machines bounds none on demand.
    for task in dag_utils.load_chain_dag_from_yaml_str(dump(documents, "cortex-r1")).tasks:
        assert isinstance(task.resources, list)
        assert [resources.use_spot for resources in task.resources] == [True, False]
        assert [resources.max_hourly_cost is None for resources in task.resources] == [False, True]


def test_without_a_deadline_or_with_machines_of_the_files_own_choice_nothing_changes() -> None:
    profile = load_profile("cortex-70b")
    plain = resolve(profile, "r1", settings=S3, environment={})
    assert all("use_spot" in document["resources"] for document in plain)
    mine = {"infra": "aws", "accelerators": "H100:8"}
    assert apply_renting(mine, "H100", "spot first") == mine
    foreign = {"infra": "aws", "accelerators": "L4:1", "use_spot": True}
    both = [{"use_spot": True}, {"use_spot": False}]
    assert apply_renting(foreign, "H100", "spot first") == {"infra": "aws", "accelerators": "L4:1", "ordered": both}


def test_with_too_little_slack_for_spot_every_task_is_on_demand() -> None:
    profile = load_profile("cortex-70b", {"budget.hours": 60})
    documents = resolve(profile, "r1", settings=S3, environment={}, renting="on demand")
    assert entries(documents[2]) == [(False, "H100:8", None)]


def made(hours: float, profile: Profile, events: tuple[Event, ...] = (), now: float = NOW) -> Any:
    documents = resolve(profile, "r1", settings=S3, environment={})
    return make_deadline(profile, documents, SKY_YAML, hours, now, events=events, estimate=KNOWN)


def test_a_deadline_counts_from_the_launch_with_a_start_of_each_task() -> None:
    profile = load_profile("cortex-70b")
    found = made(27, profile)
    assert (found.at, found.restart, found.stretch, found.spot) == (NOW + 27 * HOUR, 600.0, 1260.0, True)
    assert found.starts == ("data", "sft", "grpo", "export", "evaluate", "release")
    assert found.need(()) == NEED
    # Below the reserve of slack, the run is on demand from the start.
    least = (NEED + NET * 600 + 1260) / HOUR
    assert (made(least + 0.01, profile).spot, made(least - 0.01, profile).spot) == (True, False)


def test_a_deadline_that_no_machine_could_keep_is_refused_with_the_one_that_could() -> None:
    profile = load_profile("cortex-70b")
    with pytest.raises(ConfigError, match=r"12 hours cannot be met: 18.0 hours of work.*give --deadline 18 or more"):
        made(12, profile)
    assert made(18, profile).spot is False
    # A second launch after ten hours, with SFT made, counts from the first launch, and only the work left.
    begun: tuple[Event, ...] = (
        {"time": NOW, "epoch": 1, "event": "launching"},
        {"time": NOW + HOUR, "epoch": 2, "event": "stage_finished", "stage": "sft"},
    )
    later = NOW + 10 * HOUR
    assert made(24, profile, begun, later).at == NOW + 24 * HOUR
    with pytest.raises(ConfigError, match=r"13.8 hours of work and starts are left .*give --deadline 23.9 or more"):
        made(20, profile, begun, later)


def test_a_deadline_needs_an_estimate() -> None:
    profile = load_profile("rehearsal")
    documents = resolve(profile, "r1", settings=S3, environment={})
    with pytest.raises(
        ConfigError,
        match=r"a deadline of 5 hours needs an estimate of the work: add `estimates` .* of sft and grpo, and",
    ):
        make_deadline(profile, documents, SKY_YAML, 5, NOW)
    known = replace(KNOWN, intervals={}, stages={})
    assert make_deadline(profile, documents, Path("mine.yaml"), 5, NOW, estimate=known).stretch == 60.0
