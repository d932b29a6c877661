"""Replays, policies and the optimum: rules that hold on any trace."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.errors import UsageError
from cortex.fleet.estimate.generator import generate
from cortex.fleet.estimate.interval import TRIED, Intervals, best_interval
from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.optimum import optimum
from cortex.fleet.estimate.policies import (
    LEAVE,
    ON_DEMAND,
    Deadline,
    Greedy,
    Kinds,
    OnDemandOnly,
    Reserve,
    SpotOnly,
    UniformProgress,
    View,
)
from cortex.fleet.estimate.replay import replay
from cortex.fleet.estimate.traces import windows
from tests.fleet.estimate.slow import by_hand, one_window, trace

PUNCTUAL = (OnDemandOnly(), Greedy(), UniformProgress(), Reserve(), Deadline())
ALL = (SpotOnly(), *PUNCTUAL)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    work = 60.0 * draw(st.integers(1, 30))
    restart, save = 30.0 * draw(st.integers(0, 12)), 5.0 * draw(st.integers(0, 6))
    interval = 60.0 * draw(st.sampled_from([1, 3, 10, 200]))
    shortest = restart + work * (1 + save / interval)
    # A whole number of seconds above the shortest; 0 leaves on-demand machines from the first second as the only way.
    late = draw(st.integers(0, 3600))
    return Job(
        work, shortest + late, restart, interval, save, spot=1.0, on_demand=draw(st.sampled_from([1.0, 2.5, 9.0]))
    )


ups = st.one_of(
    st.lists(st.booleans(), min_size=2, max_size=60),
    st.sampled_from([[False, False], [True, True], [True, False], [False, True], [True, True, False]]),
)


@settings(max_examples=30, deadline=None)
@given(jobs(), ups)
def test_replays_are_those_of_a_plain_loop(job: Job, up: list[bool]) -> None:
    for policy, found in zip(ALL, replay([(job, policy) for policy in ALL], one_window(up)), strict=True):
        seconds, dollars, preemptions, lost = by_hand(job, policy, up)
        assert found.seconds[0] == pytest.approx(seconds), policy
        assert found.dollars[0] == pytest.approx(dollars), policy
        assert (found.preemptions[0], found.lost[0]) == (preemptions, pytest.approx(lost)), policy


@settings(max_examples=50, deadline=None)
@given(jobs(), ups)
def test_a_deadline_that_can_be_met_is_met(job: Job, up: list[bool]) -> None:
    for policy, found in zip(PUNCTUAL, replay([(job, policy) for policy in PUNCTUAL], one_window(up)), strict=True):
        assert found.seconds[0] <= job.deadline + 1e-6, policy


@settings(max_examples=40, deadline=None)
@given(jobs(), ups)
def test_hindsight_is_never_dearer(job: Job, up: list[bool]) -> None:
    least = optimum(job, one_window(up))[0]
    for policy, found in zip(ALL, replay([(job, policy) for policy in ALL], one_window(up)), strict=True):
        if found.seconds[0] <= job.deadline:
            assert least <= found.dollars[0] + 1e-6, policy


@settings(max_examples=30, deadline=None)
@given(jobs(), ups)
def test_what_was_paid_for_is_work_restarts_and_what_was_lost(job: Job, up: list[bool]) -> None:
    for found in replay([(job, policy) for policy in ALL], one_window(up)):
        spot = (found.dollars[0] * 3600 - found.on_demand[0] * job.on_demand) / job.spot
        if np.isfinite(found.seconds[0]):
            assert spot + found.on_demand[0] == pytest.approx(job.total + found.restarting[0] + found.lost[0])


@pytest.mark.parametrize(("down", "bridged"), [(20, 0), (36, 6), (45, 15)])
def test_outages_are_waited_out_down_to_the_reserve_then_bridged_until_spot_is_back(down: int, bridged: int) -> None:
    minute, hour = 60, 60 * 60
    # Forty minutes of slack, of which a quarter is reserved: the policy waits for thirty.
    job = Job(work=hour, deadline=101 * minute, restart=minute, interval=minute, save=0, spot=1.0, on_demand=3.0)
    (found,) = replay([(job, Reserve())], one_window([False] * down + [True] * 200))
    restarts = 2 if bridged else 1
    assert found.on_demand[0] == bridged * minute
    assert found.dollars[0] == pytest.approx((3 * bridged + 60 + restarts - bridged) * minute / 3600)


@pytest.mark.parametrize(
    ("hours", "starts"),
    [
        # With half an hour of slack no on-demand machine is risked: on demand from the start, once.
        (4.5, [0]),
        # Spot for ten minutes, then none: a vain try after 40 minutes, and again, and none once little work is left.
        (9.0, [10, 50, 90, 130, 190]),
    ],
)
def test_a_machine_on_demand_is_left_by_tries_that_grow_rarer_while_slack_allows(
    hours: float, starts: list[int]
) -> None:
    minute, hour = 60, 3600
    job = Job(4 * hour, hours * hour, 10 * minute, 10 * minute, 0, spot=1.0, on_demand=3.0)
    asked: list[int] = []

    class Recorded(Deadline):
        def choose(self, view: View) -> Kinds:
            kinds = super().choose(view)
            begun = kinds[0] == LEAVE or (kinds[0] == ON_DEMAND != view.kind[0])
            if begun and view.need[0]:  # whoever is done is asked on, and not heard
                asked.append(round((job.deadline - view.left) / minute))
            return kinds

    (found,) = replay([(job, Recorded())], one_window([True] * 10 + [False] * 1000))
    assert asked == starts
    assert found.seconds[0] <= job.deadline


def test_who_never_gets_a_spot_machine_is_given_up_after_four_deadlines() -> None:
    job = Job(work=600, deadline=1000, restart=0, interval=600, save=0, spot=1.0, on_demand=3.0)
    late, never = (
        replay([(job, SpotOnly())], one_window([False] * down + [True] * 100))[0].seconds[0] for down in (56, 90)
    )
    assert (late, never) == (56 * 60 + 600, np.inf)


def test_the_best_interval_is_long_where_nothing_is_taken_and_short_where_much_is() -> None:
    job = Job(work=36_000, deadline=40_000, restart=0, interval=600, save=30, spot=1.0, on_demand=3.0)

    def best(up: list[bool]) -> Intervals:
        return best_interval(job, [one_window(up)], between=1200, replays=1)

    calm = best([True] * 60)
    assert calm.simulated == max(TRIED) and calm.waste == pytest.approx(30 / (max(TRIED) + 30))
    stormy = best([True] * 300 + [False])
    assert stormy.simulated and stormy.simulated < max(TRIED)
    # With five minutes of spot at a time, saves every two minutes bring a job to its end; saves every seven never do.
    given_up = best([True] * 5 + [False])
    assert (given_up.simulated, given_up.waste) == (None, None), "who paid for less than the whole is not compared"


def test_the_optimum_of_cases_that_can_be_reckoned_by_hand() -> None:
    job = Job(work=600, deadline=1200, restart=60, interval=600, save=0, spot=1.0, on_demand=3.0)
    hour = 3600
    # Never up: on-demand throughout. Always up: spot throughout.
    assert optimum(job, one_window([False] * 20))[0] == pytest.approx(660 * 3 / hour)
    assert optimum(job, one_window([True] * 20))[0] == pytest.approx(660 / hour)
    # Up for the last five minutes: four minutes of work there, six on-demand before, and a restart each.
    assert optimum(job, one_window([False] * 15 + [True] * 5))[0] == pytest.approx((300 + 3 * 420) / hour)
    # Two minutes up, one for the restart: worth it, since the minute of work costs two of spot, and three on demand.
    assert optimum(job, one_window([True] * 2 + [False] * 18))[0] == pytest.approx((120 + 3 * 600) / hour)


def test_zones_are_used_in_turn_and_each_change_costs_a_restart() -> None:
    halves = [trace([True] * 10 + [False] * 10, name="a"), trace([False] * 10 + [True] * 10, name="b")]
    job = Job(work=960, deadline=1200, restart=60, interval=60, save=0, spot=1.0, on_demand=3.0)
    place = windows([halves], replays=4, ticks=20, rng=np.random.default_rng(0), zones=2)
    (found,) = replay([(job, SpotOnly())], place)
    assert found.preemptions.tolist() == [1] * 4
    assert found.seconds.tolist() == [1080] * 4
    assert optimum(job, place) == pytest.approx(1080 / 3600)


def test_the_saving_of_checkpoints_is_paid_for() -> None:
    job = Job(work=600, deadline=1e5, restart=30, interval=120, save=12, spot=1.0, on_demand=3.0)
    assert (job.total, job.stretch, job.shortest) == (660, 132, 690)
    (found,) = replay([(job, OnDemandOnly())], one_window([False] * 20))
    assert (found.seconds[0], found.on_demand[0], found.restarting[0]) == (690, 690, 30)
    assert found.dollars[0] == pytest.approx(3 * 690 / 3600)


def test_work_is_lost_since_the_last_checkpoint_only() -> None:
    job = Job(work=600, deadline=1e5, restart=0, interval=180, save=0, spot=1.0, on_demand=3.0)
    (found,) = replay([(job, SpotOnly())], one_window([True] * 5 + [False] + [True] * 14))
    # Five minutes are done, of which three are saved.
    assert (found.preemptions[0], found.lost[0], found.seconds[0]) == (1, 120, 600 + 60 + 120)


def test_the_switch_costs_less_than_on_demand_and_is_near_the_optimum_on_generated_traces() -> None:
    rng = np.random.default_rng(1)
    job = Job(work=19500, deadline=29250, restart=585, interval=975, save=0, spot=1.0, on_demand=3.0)
    place = windows(generate(rng, days=10), 40, 151, rng)
    cases = [(job, Reserve()), (job, OnDemandOnly())]
    switching, on_demand = replay(cases, place)
    assert (switching.seconds <= job.deadline + 1e-6).all()
    ratio = (switching.dollars / optimum(job, place)).mean()
    assert 1 <= ratio < 1.25
    assert switching.dollars.mean() < 0.75 * on_demand.dollars.mean()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"deadline": 600.0}, "cannot be met"),
        ({"deadline": float("nan")}, "deadline is nan"),
        ({"work": 0.0}, "work is 0 hours"),
        ({"work": float("inf")}, "work is inf hours"),
        ({"work": 1e9}, "at most a year"),
        ({"interval": 0.0}, "interval is 0 hours"),
        ({"interval": -60.0}, "interval is -0.0166667 hours"),
        ({"restart": -1.0}, "restart is"),
        ({"save": -1.0}, "save is"),
        ({"spot": -1.0}, "the spot price is -1.0"),
        ({"on_demand": float("inf")}, "the on-demand price is inf"),
    ],
)
def test_a_job_that_makes_no_sense(changed: dict[str, float], said: str) -> None:
    sound = {"work": 600.0, "deadline": 1200.0, "restart": 60.0, "interval": 60.0, "save": 0.0}
    with pytest.raises(UsageError, match=said):
        Job(**{**sound, "spot": 1.0, "on_demand": 3.0, **changed})
