"""The domain of conversations: copies, the filter, splits, grades and labels."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.chat.conversation_files import Talk
from cortex.domains.chat.conversation_formats import Turn
from cortex.domains.chat.domain import Chat
from cortex.domains.chat.near_copies import remove_copies
from cortex.domains.chat.usual_replies import nearest_replies
from cortex.domains.contract import check_domain
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Question
from cortex.settings import Settings
from tests.domains.chat.talking import asked, chat, messages, talks, write_lines

RUDE = ("stupid", "shut up")


def generated(**keys: Any) -> Chat:
    source = {"kind": "generated", "talks": 300, **keys.pop("source", {})}
    return Chat.model_validate({"source": source, **keys})


def account(domain: Chat) -> dict[str, Any]:
    return domain.build(0, Settings()).further["conversations"]


def test_the_contract_is_kept() -> None:
    found = check_domain(generated(banned=list(RUDE)), Settings())
    assert len(found) == 10
    assert [kept for kept in found if not kept.kept] == []


def test_copies_are_removed_and_no_held_out_conversation_is_nearly_a_training_one() -> None:
    domain = generated(source={"again": 0.3}, similar=0.7)
    built = domain.build(0, Settings())
    copies = built.further["conversations"]["copies"]
    assert copies["exact"] > 10 and copies["near"] > 10
    said: dict[str, set[frozenset[str]]] = {}
    for example in read_rows(built.examples):
        turns = (*(turn.content for turn in example.messages), domain.own_reply(example))
        words = " ".join(turns).split()
        runs = frozenset(" ".join(words[at : at + 3]) for at in range(len(words) - 2))
        if example.split == "train" or len(example.messages) > 6:
            said.setdefault(example.split, set()).add(runs)
    alike = max(len(one & other) / len(one | other) for one in said["test"] for other in said["train"])
    assert 0.2 < alike < 0.7


def test_a_near_copy_is_found_whatever_its_place() -> None:
    words = [f"w{number}" for number in range(60)]
    first = Talk("a", 1, (Turn("user", " ".join(words)), Turn("assistant", "yes")))
    for at in range(0, 60, 11):
        changed = [*words[:at], "other", *words[at + 1 :]]
        second = Talk("a", 2, (Turn("user", " ".join(changed)), Turn("assistant", "yes")))
        found = remove_copies([first, second], 0.8)
        assert (found.talks, found.near) == ([first], 1)
        assert remove_copies([first, second], 0.99).near == 0


def test_people_who_say_the_same_are_in_one_split(tmp_path: Path) -> None:
    twice = [messages(f"tell me of {n}", f"well{n} {n} {n} {how} {how} {how}") for n in range(40) for how in "ab"]
    built = chat(write_lines(tmp_path / "talks.jsonl", [*twice, *talks(40)])).build(0, Settings())
    assert built.further["conversations"]["kept"] == 120
    pairs = built.examples.filter(pl.col("id").str.split(":").list.get(1).cast(pl.Int64) <= 80)
    assert pairs["cluster"].n_unique() == 40


def test_banned_words_and_low_scores_are_dropped_with_a_count() -> None:
    kept = account(generated(banned=list(RUDE)))
    assert kept["dropped"]["banned"] > 20 and kept["banned"].keys() == set(RUDE)
    with_them = account(generated(banned=list(RUDE), filter={"banned": False}))
    assert with_them["dropped"]["banned"] == 0 and with_them["kept"] == kept["kept"] + kept["dropped"]["banned"]
    scored = generated(filter={"min_score": 0.6}).build(0, Settings())
    assert scored.further["conversations"]["dropped"]["score"] > 10
    assert (scored.examples["total"] >= 0.6).all()
    assert not any("obviously" in text for text in scored.examples["truth"])
    half = account(generated(filter={"top_share": 0.5}))
    total = half["kept"] + half["dropped"]["score"]
    assert total // 2 <= half["kept"] < 0.6 * total
    assert sum(half["scores"]["histogram"].values()) == total


def test_a_filter_that_drops_all_says_so() -> None:
    with pytest.raises(Exception, match=r"no conversation is left .*domain\.filter drops every conversation"):
        generated(filter={"min_score": 1.7}).build(0, Settings())


def test_a_reply_is_right_by_what_it_names_and_else_by_words_in_common() -> None:
    domain = Chat(banned=RUDE)
    named = asked("what is my cat called?", "your cat is called momo.", expect=["momo"], reject=["luna", "felix"])

    def worth(reply: str, example: Any = named) -> float:
        return 1 - domain.grade(example, reply).loss

    assert worth("your cat is called momo.") == worth("Momo!") == 1
    for wrong in ("", "luna.", "momo or luna.", "momos", "what is my cat called? momo", "momo " * 60, "m\u200bomo"):
        assert worth(wrong) == 0, wrong
    plain = asked("i am tired", "then rest well tonight.")
    assert worth("then rest well tonight.", plain) == 1
    assert worth("rest well", plain) == pytest.approx(2 * 2 / 6)
    assert worth("no idea", plain) == 0


@pytest.mark.parametrize("rude", ["then rest well tonight. Stupid.", "SHUT  UP and rest", "shut\nup", "stupid\u200b"])
def test_a_banned_word_is_worth_nothing_and_counted(rude: str) -> None:
    domain = Chat(banned=RUDE)
    graded = domain.grade(asked("i am tired", "then rest well tonight."), rude)
    assert (graded.loss, graded.valid, graded.numbers["banned"]) == (1.0, True, 1.0)
    assert domain.imitable(Question("a", ()), rude).grade == "rejected"
    assert domain.grade(asked("i am tired", "rest"), "a stupidly shut upper door").numbers["banned"] == 0


def test_every_training_reply_is_learned_once_and_every_held_out_one_is_judged() -> None:
    domain = generated()
    frame = domain.build(0, Settings()).examples
    train, test = frame.filter(split="train"), frame.filter(split="test")
    assert train["cluster"].is_unique().all()
    assert test.height > 3 * test["cluster"].n_unique()
    assert (
        test.height
        > domain.model_copy(update={"judged": "last"}).build(0, Settings()).examples.filter(split="test").height
    )
    example = next(read_rows(train))
    assert domain.own_reply(example) == json.loads(train["truth"][0])["reply"]
    assert domain.script(Question("", example.messages), 0) == domain.own_reply(example)


def test_the_nearest_baseline_repeats_the_usual_reply_to_the_most_similar_turn() -> None:
    known = [("where do i live?", "in oslo."), ("where do i live?", "in oslo."), ("where do i live?", "in riga.")]
    known += [("hello there", "hi.")]
    assert nearest_replies(known, ["so where do i live", "hello", "?!"])[:2] == ["in oslo.", "hi."]
