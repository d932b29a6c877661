"""The real GRPO trainer ends before its last step, by a collapse or out of patience."""

from dataclasses import replace
from typing import Any

import pytest

from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError
from cortex.runs.ledger import LedgerReader
from tests.rehearsal.bed import STEPS, URL, Bed, Case, events
from tests.rehearsal.killing import Chain
from tests.rehearsal.trained import write_profile

pytestmark = pytest.mark.rehearsal

COLLAPSE = {"collapse": {"window": 5, "max_truncated": 0.5}}
"""An untrained model ends hardly any of its answers: this training counts as collapsed by its fifth step."""


def chain(bed: Bed, run: str, *, validated: bool, **further: Any) -> Chain:
    case = Case("grpo", validated=validated)
    profile = bed.folder / f"{run}.yaml"
    write_profile(
        profile,
        bed.folder / "model",
        stage="grpo",
        steps=STEPS,
        save_steps=2,
        lora=False,
        iterations=1,
        validated=validated,
        further=further,
    )
    return Chain(replace(bed.task(case, run), profile=str(profile)), bed.bucket, bed.variables)


def test_a_collapse_ends_as_finished_at_the_best_checkpoint_and_says_its_figures(bed: Bed) -> None:
    stopped = chain(bed, "collapse-validated", validated=True, **COLLAPSE)
    weights = stopped.weights()
    [event] = events("collapse-validated", "stopped_early")
    assert event["step"] < STEPS
    assert "of the answers are cut off at their longest (collapse.max_truncated 0.5)" in event["reason"]
    [chosen] = events("collapse-validated", "chosen")
    assert (
        chosen["step"] in {each["step"] for each in events("collapse-validated", "validated")} and chosen["step"] == 4
    )
    # Begun again, it ends in the same way.
    assert chain(bed, "collapse-validated", validated=True, **COLLAPSE).weights() == weights


def test_a_collapse_before_any_validation_is_a_failure_with_the_keys_to_change(bed: Bed) -> None:
    failed = chain(bed, "collapse-alone", validated=False, **COLLAPSE)
    assert failed.finish(failed.start()) == ConfigError.exit_code
    assert "grpo: it collapsed by step" in failed.output and "lower learning_rate" in failed.output
    assert "Traceback" not in failed.output.rpartition("it collapsed")[2]
    assert events("collapse-alone", "stopped_early")


def test_it_stops_when_no_validation_is_better_for_long(bed: Bed) -> None:
    chain(bed, "patience", validated=True, patience=2).weights()
    [event] = events("patience", "stopped_early")
    # None of its answers can be read, so no validation is better than the first; the next step sees it.
    assert event["step"] == 13 and "2 validations without one better than that of step 4" in event["reason"]
    made = [
        each["step"] for each in LedgerReader(open_store(URL), "patience").new_events() if each["event"] == "progress"
    ]
    assert max(made) == 13
