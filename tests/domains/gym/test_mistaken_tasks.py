"""Mistakes in the domain's section: one line each."""

from typing import Any

import pytest

from cortex.domains.gym.refused_tasks import NO_ANSWER
from cortex.errors import ConfigError
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from tests.domains.gym.asking import gym

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"tasks": {"chain_sun": {}}}, r"no task 'chain_sun' in reasoning-gym: did you mean 'chain_sum'\?"),
    (
        {"tasks": {"chain_sum": {"config": {"max_term": 3}}}},
        r"chain_sum\.config: unknown key 'max_term': did .*'max_terms'",
    ),
    (
        {"tasks": {"chain_sum": {"config": {"max_terms": 1}}}},
        r'config \{"max_terms": 1\} is refused .*max_terms must be',
    ),
    ({"tasks": {"chain_sum": {"config": {"max_terms": "x"}}}}, r"chain_sum: config .* is refused by its generator"),
    ({"tasks": {"chain_sum": {"levels": [0, 11]}}}, r"chain_sum: no level 11: its curriculum has levels 0 to 10"),
    ({"tasks": {"gsm_symbolic": {"levels": [0]}}}, r"gsm_symbolic: the task has no curriculum: remove `levels`"),
    ({"tasks": {"zebra_puzzles": {}}}, r"zebra_puzzles needs the package pycosat, which the kit leaves out"),
    ({"tasks": {"coin_flip": {}}}, r"so that 0 is right almost always; leave it out"),
    ({"tasks": {"game_of_life_halting": {}}}, r"verifier takes any reply for 'False'; leave it out"),
    ({"tasks": {"syllogism": {}}, "style": "compact"}, r"syllogism has no compact form \(chain_sum, .*use style: full"),
    *[({"tasks": {name: {}}}, rf"{name} has no answer to imitate, .*unanswered: true") for name in NO_ANSWER],
]


@pytest.mark.parametrize(("keys", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_a_mistake_in_a_task_is_one_line(keys: dict[str, Any], message: str) -> None:
    domain = gym(**keys)
    for attempt in (lambda: domain.check(Settings()), lambda: domain.build(0, Settings())):
        with pytest.raises(ConfigError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("domain.tasks={}", r"domain\.tasks"),
        ("domain.tasks={chain_sum: {weight: 0}, syllogism: {weight: 0}}", r"weights sum to 0"),
        ("domain.tasks={chain_sum: {weight: -1}}", r"weight"),
        ("domain.tasks={chain_sum: {wieght: 1}}", r"did you mean 'weight'\?"),
        ("domain.tasks={chain_sum: {levels: []}}", r"give at least one"),
        ("domain.tasks={chain_sum: {config: {seed: 3}}}", r"'seed' comes from the profile's seed"),
    ],
)
def test_a_mistake_in_the_section_is_found_when_the_profile_is_read(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_profile("rehearsal-gym", sets=[change])
