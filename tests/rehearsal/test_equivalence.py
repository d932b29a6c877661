"""Killed at any moment and continued, the real trainers end with the weights of an undisturbed run, to the byte.

The undisturbed run's trainer starts as trainers do; the others are forks of a process that has imported its libraries
(`cortex.drill.warm`), so each run that agrees also shows that forking makes no difference.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import pytest

from cortex.artifacts.open_store import open_store
from cortex.errors import PreemptedError
from cortex.runs.ledger import LedgerReader
from cortex.tracking.curve import Point, curve
from tests.drawn_cases import draw_cases
from tests.rehearsal.bed import ALL, GRPO_BEST, GRPO_REUSED, SAVE_STEPS, SFT_PACKED, STEPS, URL, Bed, Case, events
from tests.rehearsal.killing import Chain, kill_often

pytestmark = pytest.mark.rehearsal

STRICT = bool(os.environ.get("CORTEX_STRICT"))
KILLS = 25 if os.environ.get("CORTEX_FULL") else 12 if STRICT else 5
CASES = draw_cases(ALL, 2) if STRICT else [GRPO_BEST, GRPO_REUSED, SFT_PACKED]
FEW_KILLS = 3
"""Kills of a packed SFT, unless CORTEX_STRICT is set: Axolotl starts slowly."""
SEED = 4


def each(cases: Sequence[Case]) -> list[Any]:
    """A test's parameters."""
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.mark.parametrize("case", each(CASES))
def test_killed_at_random_moments_it_ends_with_the_same_weights(case: Case, bed: Bed, capsys: Any) -> None:
    expected = bed.expected(case)
    began = time.monotonic()
    kills = KILLS if STRICT or case != SFT_PACKED else FEW_KILLS
    tally = kill_often(bed.task(case, f"{case.name}-killed"), bed.bucket, bed.variables, kills, random.Random(SEED))
    with capsys.disabled():
        print(f"\n{case.name}: {tally} {time.monotonic() - began:.0f} s")
    assert tally.met.total() == kills
    assert set(tally.digests) == {expected}
    assert sum(count for what, count in tally.met.items() if what.startswith("in the")) >= kills // 3
    for number in range(len(tally.digests)):
        # A kill leaves no checkpoint that looks whole and is not.
        assert not events(f"{case.name}-killed-{number}", "checkpoint_quarantined")
        assert not events(f"{case.name}-killed-{number}", "checkpoint_failed")
        measured = [point.step for point in drawn(f"{case.name}-killed-{number}", case) if "loss" in point.values]
        assert measured == list(range(1, STEPS + 1)), "one curve, each step once"
    if case.validated:
        chosen = [event["step"] for event in events(f"{case.name}-undisturbed", "chosen")]
        assert chosen == [event["step"] for event in events(f"{case.name}-killed-0", "chosen")]
        assert chosen != [STEPS]


@pytest.mark.parametrize("case", each([case for case in ALL if case.validated] if STRICT else (GRPO_BEST,)))
def test_a_validation_leaves_the_training_as_it_is(case: Case, bed: Bed) -> None:
    bed.expected(case)
    run = f"{case.name}-last-alone"
    Chain(bed.task(case, run, save_steps=STEPS // 2), bed.bucket, bed.variables).weights()
    assert len(events(run, "validated")) == 1
    often, once = (
        [(point.step, point.values["loss"]) for point in drawn(name, case) if "loss" in point.values]
        for name in (f"{case.name}-undisturbed", run)
    )
    assert often == once


@pytest.mark.parametrize("case", each(CASES))
def test_with_notice_no_step_is_made_twice(case: Case, bed: Bed) -> None:
    rng, run = random.Random(SEED), f"{case.name}-notice"
    # Only the notices cause saves; cases that validate do so at saves, and save as in the undisturbed run.
    save_steps = SAVE_STEPS if case.validated else STEPS
    chain = Chain(bed.task(case, run, save_steps=save_steps), bed.bucket, bed.variables)
    left = 0
    for _ in range(2):
        process = chain.start()
        await_steps(chain, process, rng.randint(3, 15))
        os.killpg(process.pid, signal.SIGTERM)
        assert chain.finish(process) == PreemptedError.exit_code, chain.output[-4000:]
        assert "SIGTERM: the trainer left, all it had saved is safe" in chain.output
        made = [event["step"] for event in events(run, "progress")]
        assert len(made) == len(set(made)), "a step was made twice"
        [*_, saved] = [event["step"] for event in events(run, "checkpoint_sent")]
        assert saved == max(made) > left
        assert saved % case.iterations == 0, "the rest of the rollouts' phase would be lost"
        left = saved
    assert chain.weights() == bed.expected(case)
    assert f"resuming from checkpoint-{left}" in chain.output


def test_answers_are_kept_with_what_they_were_paid_and_how_far_above_their_group(bed: Bed) -> None:
    bed.expected(GRPO_BEST)
    store, prefix = open_store(URL), f"runs/{GRPO_BEST.name}-undisturbed/grpo/tracking/samples/"
    files = {entry.key.removeprefix(prefix): store.get(entry.key) for entry in store.list(prefix.rstrip("/"))}
    rows = {name: [json.loads(line) for line in data.splitlines()] for name, data in files.items()}
    trained = [row for name, found in rows.items() if name.startswith("train-") for row in found]
    assert trained and all(len(found) <= 2 for found in rows.values())
    assert {"step", "prompt", "completion", "truth", "reward", "format", "advantage"} <= trained[0].keys()
    assert any(row["advantage"] for row in trained), "the answers of some group were paid differently"
    validated = [row for name, found in rows.items() if name.startswith("validation-") for row in found]
    assert validated and "advantage" not in validated[0]


def drawn(run: str, case: Case) -> list[Point]:
    """Points that trackers show of a run, without the trainer's summary at the very end."""
    points = curve(LedgerReader(open_store(URL), run).new_events(), case.stage)
    return [point for point in points if "train_runtime" not in point.values]


def await_steps(chain: Chain, process: "subprocess.Popen[str]", count: int) -> None:
    """Wait until the trainer has logged so many steps."""
    end = time.monotonic() + 120
    while chain.log.read_text().count("'loss'") < count:
        assert process.poll() is None, chain.finish(process)
        assert time.monotonic() < end
        time.sleep(0.005)
