"""The contract, tested on every domain of the kit, and on domains that break one promise each."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cortex.domains.contract import Kept, check_domain
from cortex.domains.domain import Built, Domain
from cortex.domains.label_finding import Finding
from cortex.domains.registry import known_domains, read_domain
from cortex.evaluation.graded import Graded
from cortex.settings import Settings
from tests.domains.toy_domain import toy_class

SMALL: dict[str, dict[str, Any]] = {
    "chat": {"source": {"kind": "generated", "talks": 200}},
    "chess": {"generated": 20, "examples": 60, "validation_examples": 8, "test_examples": 12},
    "games": {"game": {"name": "nim", "heaps": 2, "largest": 8}, "examples": 300, "test_examples": 40},
    "markets": {"source": {"kind": "simulator", "chains": 4, "days": 500}},
    "planning": {"examples": 400, "validation_examples": 40, "test_examples": 80},
}
"""Keys that make a domain's examples few."""


@pytest.mark.parametrize("kind", known_domains())
@pytest.mark.parametrize("seed", [0, 1])
def test_every_domain_keeps_the_contract(kind: str, seed: int) -> None:
    assert not broken(read_domain({"kind": kind, **SMALL.get(kind, {})}), seed)


def broken(domain: Domain, seed: int = 0) -> list[Kept]:
    return [kept for kept in check_domain(domain, Settings(), seed) if not kept.kept]


@pytest.fixture
def toy() -> type[Domain]:
    """The class of a domain that keeps the contract, as `cortex domain init` writes it."""
    return toy_class()


def shows_its_truth(built: Built) -> Built:
    frame = built.examples
    turns = [[{"role": "user", "content": f"{truth} tally"}] for truth in frame["truth"].str.strip_chars('"')]
    messages = frame["messages"].dtype
    return Built(frame.with_columns(messages=type(frame["truth"])(turns, dtype=messages)), built.source, True)


CALLS = iter(range(10**9))

BREACHES: list[tuple[str, str, Callable[[type[Domain]], dict[str, Any]], str]] = [
    (
        "grades",
        "error",
        lambda base: {"grade": lambda self, example, reply: {}["no such key"]},
        r"KeyError: 'no such key' \(.*test_contract\.py, line \d+\)",
    ),
    (
        "gold answer",
        "grade",
        lambda base: {
            "grade": lambda self, example, reply: (
                Graded(1.0, True, {"near": 0.0, "format": 0.0})
                if reply == self.exemplars(example).gold
                else base.grade(self, example, reply)
            )
        },
        "the gold answer to .* loses 1",
    ),
    (
        "gaming answers",
        "weights",
        lambda base: {"weights": lambda self: {"near": 0.1, "format": -1.0}},
        "'nothing' is paid 0.000, and an honest answer -0",
    ),
    (
        "grades",
        "loss",
        lambda base: {"grade": lambda self, example, reply: Graded(2.0, True, {"near": 0.0, "format": 0.0})},
        "the loss is 2.0, not from 0 to 1",
    ),
    (
        "grades",
        "parts",
        lambda base: {"reward_parts": lambda self: base.reward_parts(self)[:1]},
        r"domain 'toy': a grade has the part 'format', which `reward_parts` lacks",
    ),
    (
        "grades",
        "bounds",
        lambda base: {"grade": lambda self, example, reply: Graded(0.5, True, {"near": 1.5, "format": 0.0})},
        r"domain 'toy': part 'near' is 1\.5, not from 0 to 1: mend its grade",
    ),
    (
        "grades",
        "formula",
        lambda base: {
            "reward_parts": lambda self: tuple(replace(part, formula="") for part in base.reward_parts(self))
        },
        "part 'near' of the reward has no formula",
    ),
    (
        "grades",
        "mood",
        lambda base: {
            "grade": lambda self, example, reply: Graded(next(CALLS) % 2, True, {"near": 0.0, "format": 0.0})
        },
        "is graded otherwise the second time",
    ),
    (
        "equal seeds, equal examples",
        "chance",
        lambda base: {"build": lambda self, seed, settings: base.build(self, next(CALLS), settings)},
        "seed 0 gives other examples the second time",
    ),
    (
        "truth kept apart",
        "leak",
        lambda base: {"build": lambda self, seed, settings: shows_its_truth(base.build(self, seed, settings))},
        "shows its truth .* in its prompt, as do most",
    ),
    (
        "teacher's script",
        "useless",
        lambda base: {"script": lambda self, question, seed: "<think>so</think><answer>none</answer>"},
        "nothing could be learned of it",
    ),
    (
        "teacher's script",
        "rejected",
        lambda base: {"imitable": lambda self, question, reply: Finding("rejected", ("never",))},
        "no scripted answer may be imitated",
    ),
    (
        "baselines",
        "none",
        lambda base: {"baselines": lambda self, train, test: {"usual": base.baselines(self, train, test)["usual"][1:]}},
        "baseline 'usual' has .* grades for .* test examples",
    ),
]


@pytest.mark.parametrize(("promise", "how", "changes", "message"), BREACHES, ids=[f"{b[0]}: {b[1]}" for b in BREACHES])
def test_a_broken_promise_is_named(
    promise: str, how: str, changes: Callable[[type[Domain]], dict[str, Any]], message: str, toy: type[Domain]
) -> None:
    worse = type("Worse", (toy,), {**changes(toy), "__module__": toy.__module__})
    found = {kept.name: kept.detail for kept in broken(worse.model_validate({}))}
    assert promise in found, found
    assert re.search(message, found[promise]), found[promise]


def test_a_domain_without_exemplars_says_what_was_not_tried(toy: type[Domain]) -> None:
    plain = type("Plain", (toy,), {"exemplars": lambda self, example: None, "__module__": toy.__module__})
    details = {kept.name: kept.detail for kept in check_domain(plain.model_validate({}), Settings())}
    assert details["gold answer"] == "not tried: the domain has no exemplars"
    assert details["gaming answers"] == "not tried: none are named"


def test_a_domain_without_an_honest_reply_says_what_was_not_tried(toy: type[Domain]) -> None:
    plain = type("Plain", (toy,), {"honest_reply": lambda self, question, believed: None, "__module__": toy.__module__})
    plain.baselines = toy_class().baselines  # type: ignore[method-assign]
    details = {kept.name: kept.detail for kept in check_domain(plain.model_validate({}), Settings())}
    assert details["cheats"] == details["truth-telling"] == "not tried: the domain has no honest_reply"
