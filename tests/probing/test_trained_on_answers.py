"""A model that was trained on the answers is caught by what it recalls, and one that was trained on others is not."""

import json
import random
from pathlib import Path

import pytest

from cortex.domains.probe import Probe
from cortex.domains.probe_section import ProbeCounts
from cortex.probing.probe_replies import Lens
from cortex.probing.recall import Recall
from tests.probing.scripted import lens, market, reply
from tests.programs import in_image

pytestmark = pytest.mark.rehearsal


def recalled(probes: list[Probe], outcomes: list[float], by: Lens, folder: Path) -> tuple[Recall, float]:
    """Recall of a small transformer that was trained to state these outcomes, and the share of them that it states."""
    prompts = [probe.messages[-1].content for probe in probes]
    learned = [
        [prompt, reply(0.9 if outcome > 0 else 0.1, "as it was")]
        for prompt, outcome in zip(prompts, outcomes, strict=True)
    ]
    done = in_image("grpo", ["-m", "tests.probing.memorize", str(folder)], json.dumps(learned))
    assert done.returncode == 0, done.stderr[-2000:]
    replies: list[str] = json.loads(done.stdout)
    share = sum(text == right for text, (_, right) in zip(replies, learned, strict=True)) / len(learned)
    return Recall.of(list(zip(probes, replies, strict=True)), by), share


def test_a_model_that_was_trained_on_the_answers_is_caught_and_another_is_not(tmp_path: Path) -> None:
    domain, train, test = market("compact")
    probes = [
        p for p in domain.probes(train, test, ProbeCounts(recalled=60), 0) if p.variant == "with the asset's name"
    ]
    by = lens("compact")
    outcomes = [float(str(probe.example.truth)) for probe in probes]
    caught, learned = recalled(probes, outcomes, by, tmp_path / "leaked")
    assert learned > 0.9
    assert caught.is_known and (caught.saved.value or 0) > 0.2
    clean, learned = recalled(probes, random.Random(0).sample(outcomes, len(outcomes)), by, tmp_path / "clean")
    assert learned > 0.9, "as much by heart, and nothing of the dates"
    assert not clean.is_known
