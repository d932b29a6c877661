"""`cortex teach estimate`: a price from real prompts, beside what the client would count."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from cortex.domains.question import Message
from cortex.profiles.profile import Profile, with_overrides
from cortex.stages.teacher_endpoints import describe_provider
from cortex.stages.teaching_estimate import estimate_teaching
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.completion import Completion
from cortex.teaching.usage import Usage
from tests.conftest import Cortex

PROVIDERS = [
    {"kind": "deepseek", "model": "deepseek-chat", "price": {"input": 0.5, "output": 2.0}, "requests_per_minute": 20.0},
    {"kind": "vllm", "url": "http://127.0.0.1:8000/v1", "model": "m"},
]
PROMPTS = [(Message("user", f"Will NEAR rise by {number} percent?"),) for number in range(100)]


@pytest.fixture
def priced(profile: Profile) -> Profile:
    return with_overrides(profile, {"teacher.providers": PROVIDERS, "teacher.max_tokens": 1000})


def test_the_price_is_that_of_the_counted_tokens(priced: Profile) -> None:
    found = estimate_teaching(priced, PROMPTS, None)
    first, second = found.providers
    # Will, NEAR, rise, by, a number, percen, t and ?, and the template's four.
    assert first.prompt_tokens == 100 * 12
    assert first.dollars == Decimal(1200) * Decimal("0.5") / 10**6 + Decimal(50_000) * 2 / 10**6
    assert first.most_dollars == Decimal("0.0006") + Decimal("0.2")
    assert (first.minutes, second.dollars, second.minutes) == (5, None, 0)
    assert "assumed" in first.basis


def test_answers_in_the_cache_cost_nothing_and_tell_the_length_of_others(priced: Profile, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite")
    endpoint = describe_provider(priced.teacher, priced.teacher.providers[0], "none")
    for prompt in PROMPTS[:40]:
        cache.put(cache_key(endpoint, prompt, None), Completion("answered", "x", usage=Usage(12, 200)))
    first, _ = estimate_teaching(priced, PROMPTS, cache).providers
    assert (first.in_cache, first.usual_answer, first.prompt_tokens) == (40, 200, 60 * 12)
    assert first.dollars == (60 * 12 * Decimal("0.5") + 60 * 200 * 2) / 10**6


def test_batches_have_a_row_of_their_own_for_less(priced: Profile) -> None:
    first = PROVIDERS[0] | {"batch": {"share": 0.25}}
    profile = with_overrides(priced, {"teacher.providers": [first, PROVIDERS[1]]})
    in_batches, alone, second = estimate_teaching(profile, PROMPTS, None).providers
    assert (in_batches.batch, alone.batch, second.batch) == (True, False, False)
    assert in_batches.dollars and alone.dollars and in_batches.most_dollars and alone.most_dollars
    assert (in_batches.dollars, in_batches.most_dollars) == (alone.dollars / 4, alone.most_dollars / 4)
    assert (in_batches.minutes, alone.minutes) == (0, 5)


@pytest.mark.integration
def test_the_verb_counts_a_profiles_own_prompts(cortex: Cortex, tmp_path: Path) -> None:
    providers = [PROVIDERS[0] | {"batch": {}}, PROVIDERS[1]]
    text = f"extends: rehearsal\nname: priced\nteacher: {json.dumps({'examples': 50, 'providers': providers})}\n"
    (tmp_path / "priced.yaml").write_text(text, encoding="utf-8")
    done = cortex("teach", "estimate", str(tmp_path / "priced.yaml"), "--json")
    found = json.loads(done.stdout)
    assert found["prompts"] == 50 and found["providers"][0]["dollars"] > 0
    assert found["providers"][1]["dollars"] == pytest.approx(2 * found["providers"][0]["dollars"])
    assert found["providers"][2]["dollars"] is None
    shown = cortex("teach", "estimate", str(tmp_path / "priced.yaml")).stdout
    assert "deepseek in batches" in shown and "a day" in shown
    assert "deepseek (deepseek-chat)" in shown and "no price" in shown and "assumed" in shown
    none = cortex("teach", "estimate", "rehearsal")
    assert none.returncode == 78 and "teacher.providers is empty" in none.stderr
