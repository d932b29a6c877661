"""Gyms with few questions, for the tests of the domain."""

from typing import Any

import polars as pl

from cortex.domains.gym.domain import Gym
from cortex.domains.gym.generators import Address, entry_at
from cortex.domains.question import Example, Message
from cortex.domains.registry import read_domain
from cortex.settings import Settings

FEW = {"examples": 60, "validation_examples": 10, "test_examples": 30}


def gym(tasks: dict[str, Any], **keys: Any) -> Gym:
    domain = read_domain({"kind": "gym", "tasks": tasks, **FEW, **keys})
    assert isinstance(domain, Gym)
    return domain


def rows(domain: Gym, seed: int = 0) -> pl.DataFrame:
    return domain.build(seed, Settings()).examples


def first_question(task: str) -> tuple[Gym, Example]:
    """One question alone: some generators are slow."""
    domain, address = gym({task: {}}), Address(task, None, 1, 0)
    entry = entry_at(domain.tasks, address)[1]
    return domain, Example(str(address), (Message("user", entry["question"]),), entry["answer"])
