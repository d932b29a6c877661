"""Replay of jobs against many traces at once: one pass over time, vectorised over replays and policies.

Time advances in the traces' ticks. At the start of a tick a policy sees whether a spot machine is available now, and
chooses what to run in that tick. A new machine computes only after the restart time, and is paid for from the first
second. A spot machine whose zone is down is lost at the start of that tick, without notice, and the job goes back to
its last checkpoint. The job saves before a change of machines that a policy chooses. Machines are billed by the second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.policies import IDLE, LEAVE, ON_DEMAND, SPOT, Policy, View
from cortex.fleet.estimate.traces import Windows

BLOCK: Final = 128
"""Ticks whose availability is looked up together."""
PATIENCE: Final = 4.0
"""Multiple of its deadline after which a job that waits only for spot machines is given up."""


@dataclass(frozen=True)
class Outcomes:
    """Results of each replay. Every array has the shape `replays`."""

    seconds: NDArray[np.float64]
    """Seconds from start to end; infinite where the job was given up."""
    dollars: NDArray[np.float64]
    preemptions: NDArray[np.float64]
    lost: NDArray[np.float64]
    """Seconds of work that had to be done again."""
    restarting: NDArray[np.float64]
    """Seconds that were paid for while machines started."""
    on_demand: NDArray[np.float64]
    """Seconds on on-demand machines."""

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Outcomes of all parts, one after another."""
        kept = list(parts)
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in kept]) for field in fields(cls)}
        )


def replay(cases: Sequence[tuple[Job, Policy]], windows: Windows) -> list[Outcomes]:
    """Outcomes of each job under its policy, over the same windows.

    Every array of the state has the shape cases x replays, so that a tick costs about as much for a few cases as for
    one. Replays that have ended in all cases are dropped from the state.
    """
    tick, replays = windows.tick, windows.replays
    jobs = [job for job, _ in cases]
    times = _Times.of(jobs)
    state = _State.new(len(cases), replays)
    ended = {field.name: np.zeros((len(cases), replays)) for field in fields(_State)}
    here = np.arange(replays)
    """Indices of the replays in the state's columns."""
    looks = int(np.ceil(PATIENCE * max(job.deadline for job in jobs) / tick)) + 1
    for first in range(0, looks, BLOCK):
        going = (state.seconds == np.inf).any(axis=0)
        if not going.all():
            state.put(ended, here, ~going)
            here, state = here[going], state.kept(going)
        if not here.size:
            break
        up = windows.block(first, BLOCK, here)
        any_up = np.asarray(up.any(axis=1))
        zones = up.argmax(axis=1)
        columns = np.arange(here.size)
        for at in range(min(BLOCK, looks - first)):
            now = (first + at) * tick
            _preempt(state, up[at, state.zone, columns])
            want = _choose(cases, state, tick, now, any_up[at])
            left = want == LEAVE
            np.copyto(want, np.where(any_up[at], np.int8(SPOT), np.int8(ON_DEMAND)), where=left)
            _change(state, want, left, times.restart, zones[at], now)
            _compute(state, times, tick, now)
    state.put(ended, here, np.ones(here.size, dtype=bool))
    return [_outcomes(job, {name: values[case] for name, values in ended.items()}) for case, job in enumerate(jobs)]


def _outcomes(job: Job, ended: dict[str, NDArray[np.float64]]) -> Outcomes:
    on_demand, paid = ended["on_demand"], ended["paid"]
    return Outcomes(
        seconds=ended["seconds"],
        dollars=((paid - on_demand) * job.spot + on_demand * job.on_demand) / 3600,
        preemptions=ended["preemptions"],
        lost=ended["lost"],
        restarting=paid - ended["done"] - ended["lost"],
        on_demand=on_demand,
    )


@dataclass
class _State:
    """State of the replays under way; every array has the shape cases x replays."""

    kind: NDArray[np.int8]
    zone: NDArray[np.intp]
    done: NDArray[np.float64]
    """Machine seconds computed, checkpoints included."""
    saved: NDArray[np.float64]
    """The part of them that is in a checkpoint."""
    boot: NDArray[np.float64]
    """Seconds until the machine computes."""
    asked: NDArray[np.float64]
    """Time at which the machine was requested."""
    last_spot: NDArray[np.float64]
    """Time at which a spot machine ran last."""
    seconds: NDArray[np.float64]
    paid: NDArray[np.float64]
    """Machine seconds paid for, of both kinds."""
    preemptions: NDArray[np.float64]
    lost: NDArray[np.float64]
    on_demand: NDArray[np.float64]

    @classmethod
    def new(cls, cases: int, replays: int) -> Self:
        shape = cases, replays
        values: dict[str, Any] = {field.name: np.zeros(shape) for field in fields(cls)}
        values |= {"kind": np.zeros(shape, dtype=np.int8), "zone": np.zeros(shape, dtype=np.intp)}
        return cls(**values | {"seconds": np.full(shape, np.inf)})

    def kept(self, columns: NDArray[np.bool_]) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[:, columns] for field in fields(self)})

    def put(self, ended: dict[str, NDArray[np.float64]], here: NDArray[np.intp], columns: NDArray[np.bool_]) -> None:
        """Copy these columns of the state to their replays' places in `ended`."""
        for name, values in ended.items():
            values[:, here[columns]] = getattr(self, name)[:, columns]


@dataclass(frozen=True)
class _Times:
    """The times of the jobs that a tick needs; every array has the shape cases x 1."""

    total: NDArray[np.float64]
    restart: NDArray[np.float64]
    stretch: NDArray[np.float64]

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> Self:
        return cls(**{field.name: np.array([[getattr(job, field.name)] for job in jobs]) for field in fields(cls)})


def _preempt(state: _State, up: NDArray[np.bool_]) -> None:
    taken = (state.kind == SPOT) & ~up
    if taken.any():
        state.preemptions += taken
        state.lost += np.where(taken, state.done - state.saved, 0.0)
        np.copyto(state.done, state.saved, where=taken)
        state.kind[taken] = IDLE


def _choose(
    cases: Sequence[tuple[Job, Policy]], state: _State, tick: float, now: float, any_up: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """The kind of machine that each policy runs in the tick that begins now; idle in replays that have ended."""
    want = np.stack(
        [
            policy.choose(
                View(
                    job,
                    tick,
                    job.deadline - now,
                    job.total - done,
                    job.total - saved,
                    kind,
                    any_up,
                    now - asked,
                    now - last_spot,
                )
            )
            for (job, policy), done, saved, kind, asked, last_spot in zip(
                cases, state.done, state.saved, state.kind, state.asked, state.last_spot, strict=True
            )
        ]
    )
    want *= state.seconds == np.inf
    return want


def _change(
    state: _State,
    want: NDArray[np.int8],
    left: NDArray[np.bool_],
    restart: NDArray[np.float64],
    zones: NDArray[np.intp],
    now: float,
) -> None:
    """Start the wanted machines where another kind runs, or where the machine is given up (`left`)."""
    changed = (want != state.kind) | left
    if changed.any():
        np.copyto(state.saved, state.done, where=changed)
        np.copyto(state.boot, restart, where=changed)
        np.copyto(state.zone, zones, where=changed)
        np.copyto(state.asked, now, where=changed)
        np.copyto(state.kind, want)


def _compute(state: _State, times: _Times, tick: float, now: float) -> None:
    """Let the machines that run start, compute, save and be paid for in this tick, and end the jobs that are done."""
    running = state.kind != IDLE
    needed = state.boot + (times.total - state.done)
    used = np.minimum(needed, tick) * running
    starting = np.minimum(state.boot, used)
    state.boot -= starting
    state.done += used - starting
    np.maximum(state.saved, np.floor(state.done / times.stretch) * times.stretch, out=state.saved)
    state.paid += used
    used *= state.kind == ON_DEMAND
    state.on_demand += used
    finished = running & (needed <= tick)
    if finished.any():
        state.seconds[finished] = now + needed[finished]
        state.kind[finished] = IDLE
    np.copyto(state.last_spot, now + tick, where=state.kind == SPOT)
