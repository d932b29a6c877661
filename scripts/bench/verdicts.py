"""Errors and power of verdicts on simulated outcomes whose truth is known.

Each case draws forecasts and outcomes with a planted skill, many times. Without skill, a false "shown" is counted; with
skill, the share that is shown is set beside the power that theory allows, from the long-run variance of the paired
difference; and each time, the interval either holds the true skill or does not.

    python -m scripts.bench.verdicts                  # all cases, 400 seeds: ten minutes
    python -m scripts.bench.verdicts --seeds 100 --case plain
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from cortex.evaluation.bootstrap import Resamples, measure_interval
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import REFERENCE_LOSS, Scale
from cortex.evaluation.record import DataSummary, Evaluated, Verdict
from cortex.evaluation.tries import Tries
from cortex.evaluation.verdict import FIRST, verdict

Floats = NDArray[np.float64]

SCALE = Scale("Brier score", "Brier skill", "dates", reference="one_half")
FALSE, POWER, COVERAGE = 0.05, 0.90, (0.93, 0.97)
"""Bounds: of false "shown", of power where theory allows 92%, and of the share of intervals that hold the truth."""
THEORY = 0.92
START = datetime(2021, 1, 1, tzinfo=UTC)
LONG = 200_000
"""Dates from which the true skill and the long-run variance of a case are computed."""


@dataclass(frozen=True)
class Case:
    """A market of T dates by S symbols."""

    name: str
    dates: int = 250
    symbols: int = 1
    span: int = 1
    common: float = 0.0
    """Share of the variance of moves that all symbols have in common."""
    persistence: float = 0.9
    """Autocorrelation of what a forecaster without skill believes."""
    drift: float = 0.0
    """Standard deviation of a slow wave in the mean of moves, in those of a move."""
    garch: bool = False
    """Volatility comes in clusters, and beliefs are bolder in them."""
    boldness: float = 0.03
    """Standard deviation of beliefs without skill around one half."""
    signal: float = 0.0
    """Predictable mean of a move, in standard deviations of it; 0 is no skill."""


NULLS = (
    Case("plain, iid beliefs", persistence=0.0),
    Case("plain"),
    Case("plain, 60 dates", dates=60),
    Case("drift", drift=0.1),
    Case("overlap of 7", span=7, dates=350),
    Case("overlap of 7, 120 dates", span=7, dates=120),
    Case("volatility in clusters", garch=True),
    Case("40 correlated symbols", symbols=40, common=0.5),
    Case("40 correlated symbols, overlap of 7, drift, clusters", 350, 40, 7, 0.5, drift=0.1, garch=True),
)
SIGNALS = (
    *(Case(f"plain, {signal}", persistence=0.0, signal=signal) for signal in (0.1, 0.2, 0.25, 0.3, 0.5, 0.6)),
    *(
        Case(f"volatility in clusters, {signal}", persistence=0.0, garch=True, signal=signal)
        for signal in (0.2, 0.3, 0.5)
    ),
    *(Case(f"40 correlated symbols, {signal}", 250, 40, common=0.5, signal=signal) for signal in (0.03, 0.06, 0.1)),
    *(Case(f"overlap of 7, {signal}", 350, 5, 7, 0.5, signal=signal) for signal in (0.1, 0.2, 0.3)),
)
TRIES = 20


def draw(case: Case, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Stated probabilities of a rise, and rises (T x S each)."""
    steps = case.dates + case.span - 1
    shape = (steps, case.symbols)
    shared = generator.normal(size=(steps, 1))
    moves = np.sqrt(case.common) * shared + np.sqrt(1 - case.common) * generator.normal(size=shape)
    wave = case.drift * np.sqrt(2) * np.sin(2 * np.pi * (np.arange(steps) / 125 + generator.random()))
    volatility = _volatility(generator, steps) if case.garch else np.ones(steps)
    known = np.sign(_persistent(generator, shape, case.persistence)) * case.signal
    total = _ahead((moves + known + wave[:, np.newaxis]) * volatility[:, np.newaxis], case.span)
    if case.signal:
        # The variance ahead is known; of the signal ahead, its persistent expectation: here the signal itself.
        ahead = _ahead(known * volatility[:, np.newaxis], case.span)
        return ndtr(ahead / np.sqrt(_ahead(volatility**2, case.span))[:, np.newaxis]), (total > 0).astype(np.float64)
    beliefs = _persistent(generator, (case.dates, 1), case.persistence) * np.ones((1, case.symbols))
    bold = volatility[: case.dates, np.newaxis] if case.garch else 1.0
    return np.clip(0.5 + case.boldness * bold * beliefs, 0.01, 0.99), (total > 0).astype(np.float64)


def _persistent(generator: np.random.Generator, shape: tuple[int, int], persistence: float) -> Floats:
    """Standard normal numbers, autocorrelated along the first axis."""
    noise = generator.normal(size=shape) * np.sqrt(1 - persistence**2)
    noise[0] /= np.sqrt(1 - persistence**2)
    return np.asarray(lfilter([1.0], [1.0, -persistence], noise, axis=0))


def _volatility(generator: np.random.Generator, steps: int) -> Floats:
    """Stochastic volatility, whose logarithm has a half-life of 34 steps, with a mean near 1."""
    return np.exp(0.5 * _persistent(generator, (steps, 1), 0.98)[:, 0])


def _ahead(values: Floats, span: int) -> Floats:
    total = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    return total[span:] - total[:-span]


def judge(case: Case, p: Floats, rise: Floats, seed: int, tries: Tries = FIRST) -> tuple[Verdict, Evaluated]:
    """The verdict on forecasts, against one half."""
    clusters = Clusters(
        np.repeat(np.arange(case.dates), case.symbols),
        tuple(map(str, range(case.dates))),
        tuple(START + timedelta(days=day) for day in range(case.dates)),
        case.span,
    )
    drawn = Resamples.draw(clusters, seed=seed)
    loss, reference = ((p - rise) ** 2).ravel(), np.full(p.size, 0.25)
    grades = Grades(loss, np.ones(p.size, dtype=np.bool_), {REFERENCE_LOSS: reference})
    measure = SCALE.skill_measure
    evaluated = Evaluated(
        n=p.size,
        loss=float(loss.mean()),
        skill=grades.figure(measure),
        valid_share=1.0,
        measures={},
        intervals={"skill": measure_interval(drawn, grades, measure)},
    )
    data = DataSummary(
        domain="simulated",
        source="simulated",
        simulated=True,
        train_examples=0,
        test_examples=p.size,
        clusters=case.dates,
        times=list(clusters.times),
        span=case.span,
        block_length=drawn.block_length,
        resamples=len(drawn.counts),
        seed=seed,
        facts={},
    )
    return verdict("model", evaluated, (), data, SCALE, tries), evaluated


def truth(case: Case) -> tuple[float, float]:
    """The true skill, and its long-run standard deviation a date, from a series of many dates."""
    long = replace(case, dates=LONG // (4 if case.symbols > 1 else 1))
    p, rise = draw(long, np.random.default_rng(99))
    gained = (1 - (p - rise) ** 2 / 0.25).mean(axis=1)
    batch = 500
    means = gained[: len(gained) // batch * batch].reshape(-1, batch).mean(axis=1)
    exact = -4 * float(((p - 0.5) ** 2).mean()) if not case.signal else float(4 * ((p - 0.5) ** 2).mean())
    return exact, float(means.std() * np.sqrt(batch))


@dataclass(frozen=True)
class Found:
    shown: float
    coverage: float
    theory: float
    """Power by theory."""
    skill: float


def simulate(case: Case, seeds: int) -> Found:
    skill, deviation = truth(case)
    shown = held = 0
    for seed in range(seeds):
        p, rise = draw(case, np.random.default_rng((seed, 1)))
        given, evaluated = judge(case, p, rise, seed)
        shown += given.skill_shown
        held += evaluated.intervals["skill"].low <= skill <= evaluated.intervals["skill"].high
    power = float(ndtr(skill * np.sqrt(case.dates) / deviation - ndtri(0.975)))
    return Found(shown / seeds, held / seeds, power, skill)


def best_of(case: Case, tries: int, seeds: int, counted: Callable[[int], Tries]) -> float:
    """Share of markets on which any of `tries` forecasters without skill is called skilled."""
    fooled = 0
    for seed in range(seeds):
        generator = np.random.default_rng((seed, 2))
        _, rise = draw(case, generator)
        fooled += any(
            judge(case, draw(case, generator)[0], rise, seed, counted(k))[0].skill_shown for k in range(1, tries + 1)
        )
    return fooled / seeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    asked = parser.parse_args()
    began, poor = time.perf_counter(), 0
    print(f"{'case':54} {'skill':>7} {'shown':>7} {'theory':>7} {'covered':>8}")
    for case in (*NULLS, *SIGNALS):
        if asked.case not in case.name:
            continue
        found = simulate(case, asked.seeds)
        wrong = found.shown > FALSE if not case.signal else found.theory >= THEORY and found.shown < POWER
        wrong |= not COVERAGE[0] <= found.coverage <= COVERAGE[1]
        poor += wrong
        theory = f"{found.theory:7.1%}" if case.signal else " " * 7
        mark = "  *" if wrong else ""
        print(f"{case.name:54} {found.skill:+7.4f} {found.shown:7.1%} {theory} {found.coverage:8.1%}{mark}", flush=True)
    if asked.case in "20 tries":
        for words, counted in (("uncounted", lambda _: FIRST), ("counted", lambda k: Tries(models=k))):
            share = best_of(Case("tries"), TRIES, asked.seeds, counted)
            poor += words == "counted" and share > FALSE
            print(f"best of {TRIES} tries, {words:40} {share:7.1%}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s; {poor} outside of the bounds")
    sys.exit(poor > 0)


if __name__ == "__main__":
    main()
