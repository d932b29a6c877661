"""Hours and dollars of a run for each way to rent its machines, over many replays of spot traces."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np

from cortex.errors import UsageError
from cortex.fleet.estimate.generator import generate
from cortex.fleet.estimate.interval import best_interval, daly, mean_between
from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.policies import Deadline, OnDemandOnly, Policy, SpotOnly
from cortex.fleet.estimate.replay import Outcomes, replay
from cortex.fleet.estimate.result import PolicyEstimate, RunEstimate
from cortex.fleet.estimate.traces import Trace, Windows, windows
from cortex.fleet.estimate.work_estimate import WorkEstimate, estimate_profile
from cortex.profiles.profile import Profile
from cortex.runs.price_list import Offer

SLACK: Final = 1.5
"""The default deadline, as a multiple of the work."""
GENERATED: Final = "generated, after nine zones of AWS in 2023 (V100)"
COPIES: Final = 10
"""Generated traces of each of the nine zones, 45 days each: enough that replays seldom overlap."""
POLICIES: Final[tuple[Policy, ...]] = (SpotOnly(), OnDemandOnly(), Deadline())
INTERVAL_REPLAYS: Final = 100
"""Replays for each checkpoint interval that is tried."""
MOST: Final = 100_000
MINUTE: Final = 60.0


def estimate_run(
    profile: Profile,
    offers: Sequence[Offer] = (),
    *,
    estimate: WorkEstimate | None = None,
    traces: Mapping[str, Sequence[Trace]] | None = None,
    source: str = GENERATED,
    deadline_hours: float | None = None,
    slack: float | None = None,
    spot: float | None = None,
    on_demand: float | None = None,
    checkpoint: float | None = None,
    restart: float | None = None,
    zones: int = 1,
    replays: int = 1000,
    seed: int = 0,
) -> RunEstimate:
    """Replay a profile's run on spot machines only, on-demand only, and on both, as a run with a deadline uses them.

    `offers` are the machines' prices, spot and on-demand; the cheapest of each kind counts. `spot` and `on_demand`
    (dollars an hour) override them, `checkpoint` and `restart` (seconds) override the estimate's. Without `traces`,
    some are generated; `source` is their name in the result. The deadline is `deadline_hours`, or `slack` times the
    work; without either, the profile's own, else `SLACK` times the work.

    Raises:
        UsageError: a number is out of bounds, no policy can meet the deadline, or there is no price.
    """
    _require_counts(zones=zones, replays=replays)
    known = estimate or estimate_profile(profile)
    hours = deadline_hours if deadline_hours is not None or slack is not None else profile.budget.hours or None
    rng = np.random.default_rng(seed)
    groups = list((traces or dict(enumerate(generate(rng, copies=COPIES)))).values())
    between = mean_between(trace for group in groups for trace in group)
    # Without a cost of saving or a preemption there is no best interval; one longer than the work has no meaning.
    best = known.interval or daly(between, known.save) or MINUTE
    job = Job(
        work=known.work,
        deadline=(SLACK if slack is None else slack) * known.work if hours is None else hours * 3600,
        restart=known.restart if restart is None else restart,
        interval=min(best if checkpoint is None else checkpoint, known.work),
        save=known.save,
        spot=_price(offers, spot, "spot"),
        on_demand=_price(offers, on_demand, "on-demand"),
    )
    places = list(_windows(groups, replays, job, rng, zones))
    return RunEstimate(
        profile=profile.name,
        job=job,
        basis=known.basis,
        traces=source,
        zones=zones,
        replays=replays,
        seed=seed,
        policies=_replay_policies(job, places),
        intervals=best_interval(job, places, between, INTERVAL_REPLAYS),
        saves=known.intervals,
    )


def _require_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not 1 <= count <= MOST:
            raise UsageError(f"--{name} is {count}: give a number from 1 to {MOST}")


def _replay_policies(job: Job, places: Sequence[Windows]) -> tuple[PolicyEstimate, ...]:
    """The job's hours and dollars under each policy, over all windows."""
    cases = [(job, policy) for policy in POLICIES]
    outcomes = zip(*(replay(cases, place) for place in places), strict=True)
    return tuple(
        PolicyEstimate.of(policy.name, Outcomes.joined(parts), job.deadline)
        for policy, parts in zip(POLICIES, outcomes, strict=True)
    )


def _windows(
    groups: Sequence[Sequence[Trace]], replays: int, job: Job, rng: np.random.Generator, zones: int
) -> Iterator[Windows]:
    """The replays' windows, one set for each tick length among the traces; every trace is equally likely."""
    by_tick: defaultdict[float, list[Sequence[Trace]]] = defaultdict(list)
    for group in groups:
        by_tick[group[0].tick].append(group)
    sizes = np.array([sum(map(len, alike)) for alike in by_tick.values()])
    # Numbers of replays in proportion to the sizes, rounded so that each is off by less than one.
    bounds = np.rint(np.concatenate([[0], np.cumsum(sizes)]) / sizes.sum() * replays).astype(int)
    for (tick, alike), count in zip(by_tick.items(), np.diff(bounds), strict=True):
        if count:
            yield windows(alike, int(count), int(job.deadline // tick) + 1, rng, zones)


def _price(offers: Sequence[Offer], given: float | None, kind: Literal["spot", "on-demand"]) -> float:
    if given is not None:
        return given
    prices = [offer.dollars_per_hour for offer in offers if offer.spot == (kind == "spot")]
    if not prices:
        raise UsageError(f"no {kind} price: give --price-{kind} DOLLARS, an hour of one machine")
    return min(prices)
