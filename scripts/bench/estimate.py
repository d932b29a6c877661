"""Cost of the policies on spot traces compared with the optimum in hindsight, and the speed of replays.

All policies are replayed over the same windows of the same traces. The job's times are rounded to a part of the traces'
tick, so that the optimum is exact. Dollars are relative: spot costs 1 an hour. All traces have equal weight.

    python scripts/bench/estimate.py TRACES --work 18 --restart 2 10 20 --replays 20
    python scripts/bench/estimate.py TRACES --work 18 --restart 10 --zones 3 --replays 20
    python scripts/bench/estimate.py --speed
"""

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cortex.fleet.estimate.generator import generate
from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.optimum import optimum
from cortex.fleet.estimate.policies import Deadline, Greedy, OnDemandOnly, Reserve, SpotOnly, UniformProgress
from cortex.fleet.estimate.replay import replay
from cortex.fleet.estimate.traces import Trace, read_traces, windows

POLICIES = (Deadline(), Reserve(), UniformProgress(), Greedy(), OnDemandOnly(), SpotOnly())
FINE = 20.0
"""Most seconds of the grain to which a job's times are rounded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, nargs="?")
    parser.add_argument("--work", type=float, default=18.0, help="hours")
    parser.add_argument("--restart", type=float, nargs="+", default=[10.0], help="minutes")
    parser.add_argument("--slack", type=float, default=1.5)
    parser.add_argument("--on-demand", type=float, default=3.0, help="dollars an hour, where spot costs 1")
    parser.add_argument("--zones", type=int, default=1)
    parser.add_argument("--replays", type=int, default=20, help="of each trace")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", action="store_true", help="1,000 replays of a job of 30 days over traces of 45")
    given = parser.parse_args()
    if given.speed:
        speed(given.seed)
    if given.traces:
        for restart in given.restart:
            compare(given, restart * 60)


def compare(given: argparse.Namespace, restart: float) -> None:
    """Print a table for one restart time: by folder, the mean ratio of each policy's dollars to the optimum's."""
    print(
        f"| restart {restart / 60:g} min | {' | '.join(policy.name for policy in POLICIES)} | late | spot only late |"
    )
    print("| --- " * (len(POLICIES) + 3) + "|")
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    for folder, group in read_traces(given.traces).items():
        rows = [measure(given, restart, alike) for alike in ([group] if given.zones > 1 else [[one] for one in group])]
        here = {name: [row[name] for row in rows] for name in rows[0]}
        weight = len(group) // len(rows)
        for name, values in here.items():
            ratios[name] += values * weight
        print(line(f"{folder}, {len(group)} traces", here))
    print(line("all traces", ratios))
    worst = max(ratios[POLICIES[0].name])
    print(f"\nthe dearest trace for {POLICIES[0].name}: {worst:.2f}\n", flush=True)


def measure(given: argparse.Namespace, restart: float, group: Sequence[Trace]) -> dict[str, float]:
    """Mean ratios over replays of one group of zones, and the share of late replays."""
    grain = group[0].tick / math.ceil(group[0].tick / FINE)
    work, deadline, start = (
        round(seconds / grain) * grain for seconds in (given.work * 3600, given.work * 3600 * given.slack, restart)
    )
    job = Job(work, deadline, start, 15 * 60.0, 0.0, spot=1.0, on_demand=given.on_demand)
    ticks = math.ceil(job.deadline / group[0].tick)
    place = windows(
        [group],
        given.replays * (len(group) if given.zones > 1 else 1),
        ticks,
        np.random.default_rng(given.seed),
        given.zones,
    )
    least = optimum(job, place)
    found = dict(
        zip((policy.name for policy in POLICIES), replay([(job, policy) for policy in POLICIES], place), strict=True)
    )
    late = {name: float((outcome.seconds > job.deadline + 1e-6).mean()) for name, outcome in found.items()}
    means = {name: float((outcome.dollars / least).mean()) for name, outcome in found.items()}
    return means | {
        "late": max(late[policy.name] for policy in POLICIES if policy.name != "spot only"),
        "spot only late": late["spot only"],
    }


def line(name: str, columns: dict[str, list[float]]) -> str:
    shown = [f"{np.mean(columns[policy.name]):.3f}" for policy in POLICIES]
    late = [f"{np.mean(columns[name]):.0%}" for name in ("late", "spot only late")]
    return f"| {name} | {' | '.join((*shown, *late))} |"


def speed(seed: int) -> None:
    """Time 1,000 replays of 45 days, for a job of 30 days of work, with one policy and with three."""
    rng = np.random.default_rng(seed)
    day = 86400.0
    job = Job(30 * day, 45 * day, 600.0, 900.0, 20.0, spot=1.0, on_demand=3.0)
    place = windows(generate(rng, copies=10), 1000, int(job.deadline // 195) + 1, rng)
    for policies in ((Deadline(),), (Deadline(), SpotOnly(), OnDemandOnly())):
        wall, processor = time.perf_counter(), time.process_time()
        found = replay([(job, policy) for policy in policies], place)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        names = ", ".join(policy.name for policy in policies)
        late = (found[0].seconds > job.deadline + 1e-6).sum()
        print(
            f"1,000 replays of 45 days, {names}: {wall:.2f} s, {processor:.2f} s of processor time; {late} late",
            flush=True,
        )


if __name__ == "__main__":
    main()
