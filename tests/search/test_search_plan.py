"""Searches as people write them: read, or refused in one line before anything runs."""

from typing import Any

import pytest

from cortex.errors import ConfigError, CortexError, UsageError
from cortex.profiles.profile_file import load_profile
from cortex.search.search_plan import SearchFile, check_plan, read_search
from cortex.search.search_space import Span, read_over
from tests.search.stand_in import make_plan

RATES = {"grpo.learning_rate": [1e-4, 1e-3]}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("sft.learning_rate=1e-4,3e-4", [1e-4, 3e-4]),
        ("sft.scheduler=linear,cosine", ["linear", "cosine"]),
        ("grpo.vllm=null", [None]),
        ("sft.learning_rate=1e-5..1.5e-3:log", {"low": 1e-5, "high": 1.5e-3, "log": True}),
        ("sft.warmup_steps=5..50", {"low": 5, "high": 50, "log": False}),
        ("sft.weight_decay=0.0..0.1", {"low": 0.0, "high": 0.1, "log": False}),
    ],
)
def test_values_are_read_from_an_option(text: str, values: object) -> None:
    assert read_over(text) == (text.partition("=")[0], values)
    assert read_search({"over": dict([read_over(text)])}, "search s").over


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sft.learning_rate", "is no key=values: write sft.learning_rate=1e-4,3e-4"),
        ("sft.learning_rate=", "has no values: give some"),
        ("sft.scheduler=a..b", "'a' is no number, and a range has two"),
        ("=1,2", "is no key=values"),
    ],
)
def test_an_option_that_is_none_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_over(text)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to try": ({"over": {}}, "`over` names no key"),
    "an empty grid": ({"over": {"sft.warmup_steps": []}}, "over.sft.warmup_steps"),
    "a grid with a range": (
        {"over": {"sft.warmup_steps": {"low": 1, "high": 2}}, "method": "grid"},
        "a grid has no ranges",
    ),
    "a grid of few": ({"over": RATES, "trials": 1}, "a grid tries all of its 2 combinations"),
    "a range upside down": ({"over": {"grpo.beta": {"low": 2, "high": 1}}}, "give the smaller number first"),
    "a log scale from 0": ({"over": {"grpo.beta": {"low": 0, "high": 1, "log": True}}}, "begin above 0"),
    "an unknown method": ({"over": RATES, "method": "bayes"}, "method"),
    "an unknown key of the search": ({"over": RATES, "tirals": 3}, "unknown key 'tirals': did you mean 'trials'"),
    "an unknown key": ({"over": {"grpo.learning_rat": [1]}}, "unknown key 'learning_rat': did you mean"),
    "a value that is refused": ({"over": {"grpo.learning_rate": [1e-3, 2.0]}}, "with grpo.learning_rate=2.0, profile"),
    "a combination that is refused": (
        {"over": {"grpo.group_size": [4, 8], "grpo.micro_batch_size": [512, 4]}},
        "with grpo.group_size=8, grpo.micro_batch_size=4, profile .*is not a multiple of group_size",
    ),
    "a range whose end is refused": ({"over": {"grpo.learning_rate": {"low": 0.1, "high": 1.5}}}, "=1.5, profile"),
    "no validation": (
        {"over": {"grpo.validate_steps": [None]}},
        "each value validates on other examples, or at other steps",
    ),
    "the questions": ({"over": {"domain.rewards.max_reasoning_words": [1, 2]}}, "each value asks other questions"),
    "nothing that shows": ({"over": {"evaluate.examples": [100, 200]}}, "it changes nothing that a training's"),
    "a stage more or less": ({"over": {"grpo": [None]}}, "changes which stages train: name other keys"),
    "a huge grid": ({"over": {"grpo.max_steps": list(range(1, 1200))}}, "has 1,199 combinations"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_searched_is_one_line(case: str) -> None:
    values, message = BAD[case]
    with pytest.raises(ConfigError, match=message) as raised:
        check_plan(read_search(values, "search s").plan(load_profile("rehearsal"), launch=False))
    assert "\n" not in str(raised.value)


def test_a_profile_that_validates_nothing_has_nothing_to_choose_by() -> None:
    profile = load_profile("rehearsal", {"grpo.validate_steps": None})
    with pytest.raises(ConfigError, match=r"validates nothing in grpo.*set grpo.validate_steps"):
        make_plan(RATES, profile=profile)


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("sft.learning_rate", True),
        ("sft.axolotl", True),
        ("seed", True),
        ("sft.sequence_length", False),
        ("teacher.samples", False),
        ("model.scratch.vocabulary", False),
    ],
)
def test_losses_of_texts_are_compared_only_where_texts_and_tokens_are_the_same(key: str, *, fits: bool) -> None:
    values = {"sft.axolotl": [{}], "sft.learning_rate": [1e-3]}.get(key, [400, 500])
    profile = load_profile("rehearsal", {"grpo": None})
    try:
        make_plan({key: values}, profile=profile)
        found = True
    except CortexError as error:
        found = False
        assert "compares nothing: " in str(error)
    assert found is fits
    if key.startswith("model"):
        assert make_plan({key: values}).stage == "grpo", "which validates by the domain's grades"


def test_the_method_follows_from_the_values() -> None:
    assert make_plan(RATES).method == "grid" and make_plan(RATES).trials == 2
    ranged = SearchFile(over={"grpo.learning_rate": Span(low=1e-4, high=1e-3)})
    assert ranged.plan(load_profile("rehearsal"), launch=False).method == "tpe"
