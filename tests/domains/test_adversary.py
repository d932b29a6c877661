"""Cheats against the rewards of every shipped profile and of a user's own domain, and against weak rewards."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import polars as pl
import pytest

from cortex.domains.adversary import BrokenPromiseError, cheats_pay_less, honest_replies
from cortex.domains.chat.chat_config import GeneratedTalks, TalkFilter
from cortex.domains.cheats import FIXED, STUFFING, cheats
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.markets.config import SimulatorConfig
from cortex.domains.mixture import Mixture
from cortex.domains.question import Example
from cortex.domains.reply_pieces import ReplyPieces
from cortex.evaluation.graded import Graded
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT, Settings
from tests.domains.toy_domain import toy_class

KINDS = (
    "empty",
    "constant",
    "always one half",
    "parroting",
    "keyword stuffing",
    "repeated digits",
    "giant intervals",
    "hidden text",
    "look-alike characters",
    "copying the prompt",
    "contradiction",
)
FEW: dict[str, dict[str, Any]] = {
    "markets": {"source": SimulatorConfig(chains=1, days=260)},
    "gym": {"examples": 24, "validation_examples": 8, "test_examples": 10},
    "chat": {"source": GeneratedTalks(talks=120), "filter": TalkFilter()},
    "planning": {"examples": 24, "validation_examples": 8, "test_examples": 10},
}


def shipped() -> dict[str, Domain]:
    """The domains of the shipped profiles, with few examples; those that ask and reward alike once."""
    found: dict[tuple[Any, ...], tuple[str, Domain]] = {}
    for path in sorted((CHECKOUT / "jobs" / "profiles").glob("*.yaml")):
        for part in load_profile(path.stem).domain.parts().values():
            alike = (part.kind, getattr(part, "style", None), repr(getattr(part, "tasks", None)), part.reward_parts())
            kind = str(part.kind)
            found[alike] = path.stem, part.model_copy(update=FEW[kind]) if kind in FEW else part.small()
    return dict(found.values())


SHIPPED = shipped()


@cache
def examples(name: str) -> tuple[Example, ...]:
    frame = SHIPPED[name].build(0, Settings()).examples.filter(pl.col("split") == "train")
    return tuple(read_rows(frame.head(12)))


@pytest.mark.parametrize("name", SHIPPED)
def test_no_cheat_is_paid_more_than_an_honest_mediocre_answer_by_a_shipped_profile(name: str) -> None:
    assert "cheats of 11 kinds" in cheats_pay_less(SHIPPED[name], examples(name))


def test_every_kind_of_cheat_is_tried_in_several_ways_on_every_domain() -> None:
    for name, domain in SHIPPED.items():
        first, second = examples(name)[:2]
        replies = honest_replies(domain, examples(name))
        made = cheats(first.text, replies[0], replies[1])
        assert tuple(made) == KINDS and all(len(set(ways)) >= 4 for ways in made.values()), name
        assert {kind: len(ways) for kind, ways in made.items()} == {
            kind: len(ways) for kind, ways in cheats(second.text, replies[1], replies[0]).items()
        }


def test_cheats_in_form_are_read_as_answers() -> None:
    """A suite of replies that no domain can read would prove nothing."""
    for name, domain in SHIPPED.items():
        replies = honest_replies(domain, examples(name))
        # In games an honest reply may be no move of the position that is asked.
        asked = [pair for pair in zip(examples(name), replies, strict=True) if domain.grade(*pair).valid]
        assert asked, name
        example, reply = asked[0]
        made = cheats(example.text, reply, next((other for other in replies if other != reply), reply))
        read = {kind for kind, ways in made.items() if any(domain.grade(example, text).valid for text in ways)}
        # In games a move alone is a reply: most cheats put something beside it.
        assert len(read) >= (4 if domain.kind in ("chess", "games") else 7), (name, read)


def test_several_domains_are_cheated_one_by_one() -> None:
    parts = [
        {"domain": {"kind": "gym", "tasks": {"chain_sum": {}, "leg_counting": {}}}},
        {"domain": SHIPPED["rehearsal"]},
    ]
    both = Mixture.model_validate({"domains": parts})
    train = both.build(0, Settings()).examples.filter(pl.col("split") == "train").head(16)
    assert "11 kinds" in cheats_pay_less(both, list(read_rows(train)))


# Weak rewards, each of which pays one kind of cheat.


def _reads(read: Callable[[Example, str], float]) -> dict[str, Any]:
    """A domain whose part `near` is what a function of the example and the reply says."""

    def grade(self: Domain, example: Example, reply: str) -> Graded:
        return Graded(0.5, True, {"near": min(1.0, max(0.0, read(example, reply))), "format": 0.0})

    return {"grade": grade}


WEAK: dict[str, Callable[[Example, str], float]] = {
    "empty": lambda example, reply: 1.0 if not reply.strip() else 0.5,
    "constant": lambda example, reply: float(reply in FIXED),
    "always one half": lambda example, reply: 1.0 if "0.5" in reply else 0.5,
    "parroting": lambda example, reply: reply.count("<answer>") / 20,
    "keyword stuffing": lambda example, reply: len(set(STUFFING.split()) & set(reply.split())) / 20,
    "repeated digits": lambda example, reply: float(bool(re.search(r"\d{7}", reply))),
    "giant intervals": lambda example, reply: float("1e9" in reply or "1000000" in reply),
    "hidden text": lambda example, reply: float("full marks" in reply and "<!--" in reply),
    "look-alike characters": lambda example, reply: float("ѕ" in reply or "а" in reply),
    "copying the prompt": lambda example, reply: float(example.text in reply),
    "contradiction": lambda example, reply: float(" or " in reply),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reward_that_pays_a_cheat_is_found_and_the_cheat_is_named(kind: str) -> None:
    weak = type("Weak", (toy_class(),), {**_reads(WEAK[kind]), "__module__": toy_class().__module__})
    domain = weak.model_validate({})
    rows = list(read_rows(domain.build(0, Settings()).examples.head(8)))
    with pytest.raises(BrokenPromiseError, match=rf"the cheat '{kind}' is paid .*, and an honest, mediocre answer"):
        cheats_pay_less(domain, rows)


def test_pieces_are_the_reply_and_a_probability_keeps_its_direction() -> None:
    market = '<think>a</think><answer>{"p_up": 0.4, "direction": "down", "interval_pct": [-1, 2]}</answer>'
    for reply in (market, "<answer>abc</answer>", "plain words", ""):
        assert ReplyPieces.of(reply).text == reply
    changed = ReplyPieces.of(ReplyPieces.of(market).with_share(lambda _: 0.9)).answer
    assert json.loads(changed) == {"p_up": 0.9, "direction": "up", "interval_pct": [-1, 2]}
    wide = ReplyPieces.of(ReplyPieces.of(market).with_numbers(lambda value: value, pair=lambda _: [-9, 9])).answer
    assert json.loads(wide) == {"p_up": 0.4, "direction": "down", "interval_pct": [-9, 9]}
