"""The road test ends what it rented by the kit's own verb, and reports as standing what may not be gone."""

import os
import time
from pathlib import Path

import pytest

from cortex.console import Console
from cortex.errors import StageError
from cortex.fleet.launch.run_launch import SUBMISSION
from cortex.fleet.watch.rentals import Rental
from cortex.runs.context import create_run
from cortex.runs.pipeline import SKY_YAML
from cortex.runs.run_secret import RunSecret
from scripts.roadtest.__main__ import finish, standing, tell
from scripts.roadtest.pipeline import SECRET, write_pipelines
from scripts.roadtest.road import Road
from scripts.roadtest.step import Line
from scripts.roadtest.steps.ending import LEFT_OVER, compare_times, leaks, left_over
from scripts.roadtest.verbs import Verbs
from tests.conftest import environment


@pytest.fixture
def rented(road: Road, tmp_path: Path) -> Road:
    """A road test whose launch was cut off a moment ago; SkyPilot knows nothing of it."""
    given = environment(tmp_path) | {"HOME": str(tmp_path), "CORTEX_BUCKET": road.store.url}
    road.verbs = Verbs(tmp_path / "said", given)
    road.clouds = frozenset({"gcp"})
    road.begin(road.run)
    road.begin_step(0.5)
    return road


@pytest.mark.integration
def test_of_a_launch_that_was_cut_off_a_job_may_come_about_for_a_while(rented: Road) -> None:
    with pytest.raises(StageError, match=rf"{rented.run} may stand: its launch was cut off, and a job may come about"):
        left_over(rented)


@pytest.mark.integration
def test_it_is_over_once_none_can_come_about_any_more(rented: Road) -> None:
    rented.begun[rented.run] = time.monotonic() - SUBMISSION
    found = left_over(rented)
    assert not found.proven and "the cloud itself was not asked" in found.detail


@pytest.mark.integration
def test_a_server_that_cannot_be_asked_leaves_it_standing(rented: Road) -> None:
    nobody = {"SKYPILOT_API_SERVER_ENDPOINT": "http://127.0.0.1:9"}
    rented.verbs = Verbs(rented.verbs.folder, {**rented.verbs.environment, **nobody})
    with pytest.raises(StageError, match=rf"{rented.run} may stand: .*does not answer"):
        left_over(rented)


def line(state: str) -> Line:
    return Line(LEFT_OVER.name, "Nothing stands.", state, "", 1.0, 0.0)  # pyright: ignore[reportArgumentType]


def test_what_may_stand_is_said_with_the_command_that_ends_it(road: Road) -> None:
    road.begin(road.run)
    for lines in ([], [line("FAILED")]):
        assert f"SOMETHING MAY STAND, AND COST: `make roadtest END={road.run}` ends it" in standing(road, lines)
    assert "MAY STAND" not in standing(road, [line("passed")])
    assert standing(road, [line("not proven here")]).startswith("the cloud itself was not asked")


def test_a_terminal_that_is_gone_stops_nothing(road: Road) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    road.verbs.folder.mkdir()
    console = Console(file=os.fdopen(writing, "w", encoding="utf-8", buffering=1))
    tell(console, line("passed"))
    finish(console, road, [line("passed")], as_json=False)
    assert (road.verbs.folder.parent / "roadtest.json").exists()


@pytest.mark.parametrize(
    ("ledger", "ended", "same"), [(100.0, 1100.0, True), (103.0, 1100.0, True), (100.0, None, False)]
)
def test_times_that_agree_pass_and_those_that_ec2_does_not_tell_are_not_counted(
    ledger: float, ended: float | None, same: bool
) -> None:
    assert compare_times({"seconds": ledger}, rental(ended)) == same


def test_another_time_fails() -> None:
    with pytest.raises(StageError, match="i-1 cost 60 s by the ledger, and 100 s by EC2"):
        compare_times({"seconds": 60.0}, rental(1100.0))


def rental(ended: float | None) -> Rental:
    return Rental("i-1", "us-east-1", "us-east-1a", "g6.xlarge", True, True, 1000.0, ended is None, ended, False)


@pytest.mark.parametrize("where", ["the bucket", "an output", "nowhere"])
def test_secrets_are_looked_for_in_every_object_and_output(where: str, road: Road, tmp_path: Path) -> None:
    create_run(road.store, road.run, road.profile)
    write_pipelines(SKY_YAML, road.pipeline, road.wall_pipeline)
    road.begin(road.run)
    road.begin(road.wall)  # whose launch failed before it was in the bucket
    road.store.put(f"runs/{road.run}/logs/1-sft.log", b"")  # an empty object is read, too
    road.verbs.folder.mkdir()
    if where == "the bucket":
        road.store.put(f"runs/{road.run}/logs/2-sft.log", b"=".join((SECRET.encode(), road.secret.encode())))
    elif where == "an output":
        (road.verbs.folder / "001-cortex-launch.err").write_text(RunSecret.of(road.run, road.settings).value, "utf-8")
    said = {
        "the bucket": f"2-sft.log holds {SECRET}: it is no secret any more",
        "an output": f"launch.err holds the secret of {road.run}",
        "nowhere": "SkyPilot has not printed its logs",  # nothing was submitted, so that part is not searched
    }
    with pytest.raises(StageError, match=said[where]):
        leaks(road)
