import json
import random
from pathlib import Path

import pytest

from cortex.domains.markets import Markets
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.question import Conversation, Example, Message
from cortex.errors import ConfigError, DataError
from cortex.profiles.profile import Profile, with_overrides
from cortex.stages.best_of import SAMPLES
from cortex.stages.label_pairs import sample_pairs, spoil, spoiled_pairs

MARKETS = Markets()
EXAMPLES = [
    Example(f"e{number}", (Message("user", f"NEAR 1d flow:-2 range:2.{number}"),), 0.03) for number in range(40)
]


def forecast(p_up: float) -> str:
    up = p_up >= 0.5
    return render_answer(Answer("flow:-2 up range looks calm", p_up, "up" if up else "down", 0.0, -5.0, 5.0))


def write_samples(folder: Path, **answers: list[tuple[float, str]]) -> Path:
    rows = [
        {"example_id": name, "answers": [{"text": forecast(p_up), "grade": grade} for p_up, grade in given]}
        for name, given in answers.items()
    ]
    (folder / SAMPLES).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def labelled(answer: str) -> dict[str, Conversation]:
    return {example.id: (*example.messages, Message("assistant", answer)) for example in EXAMPLES[:30]}


def test_the_best_fit_sample_is_paired_with_the_worst(tmp_path: Path) -> None:
    write_samples(
        tmp_path,
        e0=[(0.55, "accepted"), (0.85, "accepted"), (0.15, "accepted")],
        e1=[(0.7, "accepted"), (0.7, "accepted")],  # paid alike
        e2=[(0.99, "flagged"), (0.6, "accepted"), (0.4, "accepted")],
        e3=[(0.9, "rejected"), (0.1, "rejected")],  # none is fit
    )
    found = [(example.id, better, worse) for example, better, worse in sample_pairs(MARKETS, EXAMPLES, tmp_path)]
    assert found == [("e0", forecast(0.85), forecast(0.15)), ("e2", forecast(0.6), forecast(0.4))]


def test_labels_without_samples_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"samples\.jsonl is not there: set teacher\.samples"):
        list(sample_pairs(MARKETS, EXAMPLES, tmp_path))


def test_a_spoiled_copy_differs_and_earns_less() -> None:
    labels = labelled(forecast(0.8))
    found = list(spoiled_pairs(MARKETS, EXAMPLES, labels, seed=1))
    assert [example.id for example, _, _ in found] == list(labels)
    for example, better, worse in found:
        paid = [MARKETS.reward(MARKETS.grade(example, text)) for text in (better, worse)]
        assert better == forecast(0.8) and paid[0] > paid[1]
    assert len({worse for _, _, worse in found}) > 3, "they are spoiled in several ways"
    assert found == list(spoiled_pairs(MARKETS, EXAMPLES, labels, seed=1))
    assert found != list(spoiled_pairs(MARKETS, EXAMPLES, labels, seed=2))


@pytest.mark.parametrize("reply", ["", "It will rise.", "</think>", "<think>7</think>8", "1" * 400])
def test_any_reply_can_be_spoiled(reply: str) -> None:
    assert all(isinstance(each, str) for each in spoil(reply, random.Random(0)))


def test_pairs_of_labels_need_samples_and_the_default_keeps_the_digest(profile: Profile) -> None:
    profile = with_overrides(profile, {"dpo": {"learning_rate": 1e-5, "max_steps": 8, "save_steps": 4}})
    assert profile.dpo and "pairs" not in profile.model_dump(mode="json")["dpo"]
    assert with_overrides(profile, {"dpo.pairs": "sampled"}).digest == profile.digest
    with pytest.raises(ConfigError, match=r"set teacher\.samples to 2"):
        with_overrides(profile, {"dpo.pairs": "labels"})
    both = with_overrides(profile, {"dpo.pairs": "labels", "teacher.samples": 2})
    assert Profile.from_json(both.to_json(), "there") == both
