"""The estimate of a profile's run, and its verb: the sources of its numbers, and its errors for wrong ones."""

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from cortex import cli
from cortex.artifacts.open_store import open_store
from cortex.errors import CortexError, DataError, UsageError
from cortex.fleet.capacity.capacity_plan import plan_capacity
from cortex.fleet.estimate import estimate_from_hours, estimate_from_run, estimate_profile, estimate_run
from cortex.fleet.estimate.estimate_plot import plot
from cortex.fleet.estimate.replay import Outcomes
from cortex.fleet.estimate.result import PolicyEstimate, Range
from cortex.fleet.estimate.training_prices import own_gpu_offers
from cortex.profiles.profile_file import load_profile
from cortex.runs.ledger import Ledger
from cortex.runs.price_list import Offer
from cortex.settings import Settings
from tests.grpo_section import grpo_of

PRICES = ("--price-spot", "25", "--price-on-demand", "55")


def offer(dollars: float, spot: bool) -> Offer:
    return Offer(cloud="aws", region="r", instance_type="p5", spot=spot, dollars_per_hour=dollars)


def verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["cortex", "estimate", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    output = capsys.readouterr()
    return output.err if end.value.code else output.out


def test_an_estimate_of_a_profile_by_its_estimates_and_the_cheapest_offers() -> None:
    # So long that half of the replays on spot alone are preempted.
    long = {"sft": 6.0, "grpo": 140.0, "other_hours": 9.6, "restart_minutes": 15.0, "save_seconds": 60.0}
    profile = load_profile("cortex-70b", {"estimates": long})
    offers = (offer(30, True), offer(25, True), offer(60, False), offer(55, False))
    found = estimate_run(profile, offers, replays=60, seed=3)
    assert (found.job.spot, found.job.on_demand) == (25, 55)
    assert found.job.work / 3600 == pytest.approx(17.8, abs=0.1)
    assert found.job.interval == (260 * 6 + 200 * 140) / (260 / 65 + 200 / 25), "as many saves as there will be"
    switching, on_demand, spot = found["spot, then on-demand"], found["on-demand"], found["spot only"]
    assert (switching.late, on_demand.late) == (0, 0)
    assert switching.hours.p90 <= found.job.deadline / 3600 + 1e-6
    assert on_demand.dollars.p50 == on_demand.dollars.p90 == pytest.approx(55 * found.job.shortest / 3600)
    assert spot.dollars.p50 < switching.dollars.p50 < on_demand.dollars.p50
    assert spot.late > 0
    assert estimate_run(profile, offers, replays=60, seed=3).to_json() == found.to_json()
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["replays"] == 60
    drawn = plot(found)
    assert drawn == plot(found)
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert not re.search(r"var\(--(?!ink|muted|grid|surface|accent|series-[0-2])", drawn)


def test_machines_that_train_together_are_paid_for_together() -> None:
    offers = (offer(25, True), offer(55, False))
    found = estimate_run(
        load_profile("cortex-70b-2n"), own_gpu_offers(load_profile("cortex-70b-2n"), offers), replays=20
    )
    assert (found.job.spot, found.job.on_demand) == (50, 110)


def test_what_a_profile_does_not_estimate_is_planned() -> None:
    whole, bare = load_profile("cortex-70b"), load_profile("cortex-70b", {"estimates": {}})
    plan = plan_capacity(bare, Settings(), tracing="kept")
    found = estimate_profile(bare)
    assert found.basis == f"planned, {plan.basis}"
    assert found.intervals == {
        stage: getattr(bare, stage).save_steps * seconds for stage, seconds in plan.step_seconds.items()
    }
    trained = sum(getattr(bare, stage).max_steps * seconds for stage, seconds in plan.step_seconds.items())
    assert found.work == pytest.approx(trained + plan.other_seconds)
    assert (found.restart, found.save) == pytest.approx((plan.restart_seconds, plan.save_seconds))

    partly = estimate_profile(load_profile("cortex-70b", {"estimates": {"sft": 7.0, "restart_minutes": 1.0}}))
    assert partly.intervals["sft"] == 7.0 * whole.sft.save_steps
    assert partly.intervals["grpo"] == found.intervals["grpo"]
    assert partly.restart == 60.0
    assert partly.basis == f"estimated in the profile, the rest planned, {plan.basis}"


def test_half_and_nine_tenths_of_the_replays_are_within_what_is_said() -> None:
    seconds = np.array([*(3600.0 * hours for hours in range(1, 10)), np.inf])
    nothing = np.zeros(10)
    outcomes = Outcomes(seconds, seconds / 1800, nothing, nothing + 7200, nothing, nothing)
    found = PolicyEstimate.of("any", outcomes, deadline=7 * 3600)
    assert (found.hours, found.dollars) == (Range(5, 9), Range(10, 18))
    assert (found.lost_hours.p90, found.late) == (2, 0.3)
    seconds[8] = np.inf
    assert PolicyEstimate.of("any", outcomes, 7 * 3600).hours == Range(5, np.inf)


def test_what_is_given_goes_before_the_estimate() -> None:
    found = estimate_run(load_profile("cortex-8b"), spot=3.0, on_demand=8.0, restart=42.0, checkpoint=77.0, replays=20)
    assert (found.job.restart, found.job.interval) == (42, 77)


def test_the_hours_of_a_run_that_was(tmp_path: Path) -> None:
    store, profile = open_store(str(tmp_path)), load_profile("cortex-70b")
    clock = iter(range(0, 10_000_000, 5))
    for epoch, (stage, steps) in enumerate((("data", 0), ("sft", 4), ("grpo", 3)), start=1):
        ledger = Ledger(store, "like", epoch, clock=lambda: float(next(clock)))
        ledger.append("stage_started", stage=stage)
        for step in range(1, steps + 1):
            ledger.append("progress", step=step, total=9)
        ledger.append("stage_finished", stage=stage, seconds=700.0)
    found = estimate_from_run(profile, store, "like")
    step = found.intervals["sft"] / profile.sft.save_steps
    assert step > 0
    assert found.work == pytest.approx(700 + step * (profile.sft.max_steps + grpo_of(profile).max_steps))
    assert found.basis == "measured in run like"
    with pytest.raises(DataError, match="no ledger"):
        estimate_from_run(profile, store, "other")
    Ledger(store, "short", 1).append("stage_started", stage="sft")
    with pytest.raises(DataError, match="too few steps of sft and grpo"):
        estimate_from_run(profile, store, "short")


def test_a_pause_and_a_repetition_in_a_run_that_was_count_once(tmp_path: Path) -> None:
    store, profile = open_store(str(tmp_path)), load_profile("cortex-70b")
    now = 0.0

    def clock() -> float:
        return now

    for epoch, stage in enumerate(("data", "data", "sft", "sft", "grpo"), start=1):
        now = 1e6 * epoch
        ledger = Ledger(store, "like", epoch, clock)
        ledger.append("stage_started", stage=stage)
        for step, at in enumerate((10, 20, 30, 40, 500, 510) if stage != "data" else (), start=1):
            now = 1e6 * epoch + at
            ledger.append("progress", step=step, total=9)
        ledger.append("stage_failed" if epoch == 1 else "stage_finished", stage=stage, seconds=100.0 * epoch, code=75)
    found = estimate_from_run(profile, store, "like")
    assert found.intervals["sft"] == 10 * profile.sft.save_steps, "the median, within one attempt"
    assert found.work == 200 + 10 * (profile.sft.max_steps + grpo_of(profile).max_steps), (
        "the longest attempt at the data"
    )


def test_what_cannot_be_estimated_is_said() -> None:
    with pytest.raises(UsageError, match=r"a step of sft and grpo takes is not known .*trains on a CPU.*give --work"):
        estimate_profile(load_profile("rehearsal"))
    profile = load_profile("cortex-8b")
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "no spot price: give --price-spot"),
        ({"spot": 3.0}, "no on-demand price: give --price-on-demand"),
        ({"spot": 3.0, "on_demand": 8.0, "deadline_hours": 2.0}, "cannot be met"),
        ({"spot": 3.0, "on_demand": 8.0, "replays": 0}, "--replays is 0"),
        ({"spot": 3.0, "on_demand": 8.0, "zones": -1}, "--zones is -1"),
        ({"spot": 3.0, "on_demand": 8.0, "checkpoint": -60.0}, "interval is"),
        ({"spot": 3.0, "on_demand": 8.0, "checkpoint": 0.0}, "interval is 0 hours: give more than 0"),
        ({"spot": 3.0, "on_demand": 8.0, "estimate": estimate_from_hours(profile, -1)}, "work is -1 hours"),
    )
    for arguments, said in refused:
        with pytest.raises(CortexError, match=said):
            estimate_run(profile, **arguments)


def test_the_verb_prints_a_table_and_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    for zone, data in (("a", [1] * 50 + [0] * 10), ("b", [0] * 30 + [1] * 30)):
        (traces / f"{zone}.json").write_text(json.dumps({"metadata": {"gap_seconds": 300}, "data": data}))
    drawn = tmp_path / "estimate.svg"
    common = ("cortex-8b", *PRICES, "--work", "4", "--replays", "20", "--traces", str(traces))
    said = verb(monkeypatch, capsys, *common, "--plot", str(drawn))
    assert "4.0 hours of work (given)" in said
    assert "spot, then on-demand" in said
    assert drawn.read_text().startswith("<svg")
    found = json.loads(verb(monkeypatch, capsys, *common, "--json", "--zones", "2", "--deadline", "7"))
    assert (found["deadline_hours"], found["zones"]) == (7, 2)
    assert found["policies"]["spot, then on-demand"]["late"] == 0


def test_the_verb_s_former_name_does_the_same_and_says_the_new_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("cortex-8b", *PRICES, "--work", "4", "--replays", "20", "--json")
    printed: dict[str, tuple[str, str]] = {}
    for name in ("estimate", "forecast"):
        monkeypatch.setattr(sys, "argv", ["cortex", name, *given])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
        captured = capsys.readouterr()
        printed[name] = captured.out, captured.err
    assert printed["forecast"][0] == printed["estimate"][0]
    assert printed["estimate"][1] == ""
    (note,) = printed["forecast"][1].splitlines()
    assert "`cortex estimate`" in note


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cortex-7b", *PRICES), "no profile 'cortex-7b'"),
        (("cortex-8b", *PRICES, "--deadline", "20", "--slack", "2"), "give one"),
        (("cortex-8b", *PRICES, "--work", "20", "--like", "run"), "give one"),
        (("cortex-8b", *PRICES, "--slack", "0.9"), "cannot be met"),
        (("cortex-8b", *PRICES, "--traces", "nowhere"), "nowhere is no folder"),
        (("cortex-8b", *PRICES, "--like", "nothing"), "has no ledger"),
        (("cortex-8b", "--price-spot", "-1", "--price-on-demand", "5"), "the spot price is -1.0"),
    ],
)
def test_the_verb_says_what_is_wrong(
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    heard = verb(monkeypatch, capsys, *arguments)
    assert heard.startswith("error: ") and said in heard
    assert len(heard.splitlines()) == 1
