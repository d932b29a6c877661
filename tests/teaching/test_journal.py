import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.question import Message
from cortex.teaching import journal
from cortex.teaching.completion import Completion
from cortex.teaching.journal import open_journal

from .endpoint import conversations

PROMPTS = conversations({"a": "A?", "b": "B?", "c": "C?"})


def row(example: Any, answer: Any, **others: Any) -> bytes:
    return json.dumps({"example_id": example, "prompt": f"{example}?".upper(), "answer": answer, **others}).encode()


def settled(path: Path, data: bytes) -> dict[str, Completion]:
    path.write_bytes(data)
    with open_journal(path, PROMPTS) as opened:
        return opened.settled


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    given = {
        "a": Completion("answered", "é \u2028"),
        "b": Completion("refused", "", "no"),
        "c": Completion("truncated"),
    }
    for example, completion in given.items():
        with open_journal(path, PROMPTS) as opened:
            opened.add(example, PROMPTS[example], completion)
    with open_journal(path, PROMPTS) as opened:
        assert opened.settled == given


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b"{}",
        b"not json",
        b"\xff\xfe",
        b"\x00" * 100,
        b"[" * 100_000,
        b"9" * 5000,
        row(["a"], "x"),
        row({}, "x"),
        row("a", None),
        row("a", 7),
        row("a", ["x"]),
        row("a", "x", kind="denied"),
        row("a", "x", kind=None),
        row("a", "x", kind=["answered"]),
        row("a", "x", reason=4),
        row("a", "x")[:-3],
    ],
)
def test_a_damaged_line_costs_its_own_example_alone(bad: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    assert settled(path, row("b", "one") + b"\n" + bad + b"\n" + row("c", "two") + b"\n") == {
        "b": Completion("answered", "one"),
        "c": Completion("answered", "two"),
    }
    # It may lie at the end of the file, too, where the next line must not be glued to it.
    assert set(settled(path, row("b", "one") + b"\n" + bad)) == {"b"}
    with open_journal(path, PROMPTS) as opened:
        opened.add("a", PROMPTS["a"], Completion("answered", "three"))
    with open_journal(path, PROMPTS) as opened:
        assert set(opened.settled) == {"a", "b"}


def test_a_whole_last_line_counts_without_its_line_feed(tmp_path: Path) -> None:
    assert settled(tmp_path / "answers.jsonl", row("a", "x")) == {"a": Completion("answered", "x")}


def test_of_two_lines_the_later_counts_and_another_prompt_is_another_question(tmp_path: Path) -> None:
    lines = [row("a", "x"), row("a", "y"), row("b", "z", prompt="B, before?"), row("other", "z")]
    assert settled(tmp_path / "answers.jsonl", b"\n".join(lines)) == {"a": Completion("answered", "y")}


def test_a_line_without_end_is_skipped_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LINE_BYTES", 200)
    data = b"\n".join([row("a", "x"), b"y" * 1000, b" " * 400 + row("b", "x"), row("c", "x")])
    assert set(settled(tmp_path / "answers.jsonl", data)) == {"a", "c"}


def test_a_conversation_of_several_turns_is_one_question_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    told = (Message("system", "Be brief."), Message("user", "A?"))
    with open_journal(path, {"a": told}) as opened:
        opened.add("a", told, Completion("answered", "x"))
    with open_journal(path, {"a": told}) as opened:
        assert opened.settled == {"a": Completion("answered", "x")}
    for other in ((Message("system", "Take your time."), told[1]), told[1:]):
        with open_journal(path, {"a": other}) as opened:
            assert opened.settled == {}


def test_a_long_system_message_is_held_as_its_hash_and_another_is_another_question(tmp_path: Path) -> None:
    question = Message("user", "up or down?")
    long, other = (Message("system", letter * 5000) for letter in "xy")
    with open_journal(tmp_path / "journal.jsonl", {"a": (long, question)}) as journal:
        journal.add("a", (long, question), Completion("answered", "up"))
    assert (tmp_path / "journal.jsonl").stat().st_size < 1000
    with open_journal(tmp_path / "journal.jsonl", {"a": (long, question)}) as journal:
        assert journal.settled["a"].text == "up"
    with open_journal(tmp_path / "journal.jsonl", {"a": (other, question)}) as journal:
        assert not journal.settled
