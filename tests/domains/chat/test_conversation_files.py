"""Files of conversations: the three formats, and one line for each fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.chat.conversation_files import list_conversation_files, read_conversation_file
from cortex.domains.question import Message
from cortex.errors import DataError
from cortex.settings import Settings
from tests.domains.chat.talking import chat, messages, talks, write_lines

SAID = ("my cat is momo", "how nice.", "what is she called?", "momo.")

SHAREGPT = {
    "conversations": [
        {"from": ("human", "gpt")[at % 2], "value": text, **({"expect": ["momo"]} if at == 3 else {})}
        for at, text in enumerate(SAID)
    ]
}
ALPACA = {"instruction": SAID[2], "input": "", "output": SAID[3], "history": [list(SAID[:2])], "expect": ["momo"]}
OPENAI = messages(*SAID)
OPENAI["messages"][3]["expect"] = ["momo"]


@pytest.mark.parametrize(("kind", "record"), [("messages", OPENAI), ("sharegpt", SHAREGPT), ("alpaca", ALPACA)])
def test_the_same_conversation_is_read_from_each_format(tmp_path: Path, kind: str, record: Any) -> None:
    read = read_conversation_file(write_lines(tmp_path / "talks.jsonl", [record]), 100)
    assert read.format == kind and read.problems == []
    [talk] = read.talks
    assert [turn.content for turn in talk.turns] == list(SAID)
    assert [turn.role for turn in talk.turns] == ["user", "assistant"] * 2
    assert talk.turns[3].expect == ("momo",) and talk.turns[1].expect == ()


def test_a_system_message_and_an_input_are_kept(tmp_path: Path) -> None:
    record = {"instruction": "Translate.", "input": "chat", "output": "cat", "system": "Be brief."}
    [talk] = read_conversation_file(write_lines(tmp_path / "a.jsonl", [record]), 100).talks
    assert [(turn.role, turn.content) for turn in talk.turns] == [
        ("system", "Be brief."),
        ("user", "Translate.\n\nchat"),
        ("assistant", "cat"),
    ]


FAULTS: dict[str, tuple[Any, str, str]] = {
    "same role twice": (
        {"messages": [{"role": "user", "content": "a"}] * 2},
        "roles do not alternate",
        "turn 2 is by user, and assistant would be next",
    ),
    "the assistant first": (
        {"messages": [{"role": "assistant", "content": "a"}]},
        "roles do not alternate",
        "turn 1 is by assistant, and user would be next",
    ),
    "empty": (messages("hello", " \n"), "empty turn", r"turn 2 \(assistant\) is empty"),
    "unknown role": (
        {"messages": [{"role": "tool", "content": "a"}]},
        "unknown role",
        "turn 1 is by 'tool': known are system, user, assistant",
    ),
    "no role": ({"messages": [{"content": "a"}]}, "no role", "a turn has no `role`"),
    "no text": (
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        "no text",
        "`content` has a part of type 'image_url': only text is learned",
    ),
    "broken": ('{"messages": [', "broken JSON", "broken JSON .*: write one JSON object a line"),
    "a list": ("[1]", "broken JSON", "is a JSON list, and no object"),
    "deep": ("[" * 100_000, "broken JSON", "broken JSON"),
    "another format": (ALPACA, "another format", r"no `messages`, as other records of this file \(messages\) have"),
    "too long": (messages("word " * 99, "b c"), "too long", "101 words, and domain.max_words is 100"),
    "no turns": ({"messages": []}, "no turns", "`messages` is no list of turns"),
    "ends with a question": (messages("a", "b", "c"), "no reply", "the last turn is not by the assistant"),
    "weight": (
        {"messages": [{"role": "user", "content": "a", "weight": 0}]},
        "weight",
        "a turn has the weight 0: all assistant turns weigh the same here",
    ),
    "late system": (
        {"messages": [*messages("a", "b")["messages"], {"role": "system", "content": "c"}]},
        "system message",
        "a system message is not the first turn",
    ),
}


@pytest.mark.parametrize(("record", "kind", "text"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_refused_by_file_and_line_or_dropped_with_a_count(
    tmp_path: Path, record: Any, kind: str, text: str
) -> None:
    path = write_lines(tmp_path / "talks.jsonl", [*talks(60), "", record])
    keys = {"max_words": 100}
    with pytest.raises(DataError, match=rf"^talks\.jsonl:62: {text}.*\(1 faulty records in all\)"):
        chat(path, **keys).build(0, Settings())
    built = chat(path, problems="drop", **keys).build(0, Settings())
    faulty = built.further["conversations"]["faulty"]
    assert faulty[kind] == 1 and faulty["first"][0].startswith("talks.jsonl:62: ")
    assert built.further["conversations"]["kept"] == 60


def test_a_file_of_no_known_format_and_missing_files_are_one_line(tmp_path: Path) -> None:
    odd = write_lines(tmp_path / "odd.jsonl", [{"prompt": "a", "completion": "b"}])
    wanted = r"^odd.jsonl: no record has one of the keys `messages` .*odd.jsonl:1: keys completion, prompt are of no"
    with pytest.raises(DataError, match=wanted):
        read_conversation_file(odd, 10)
    empty = write_lines(tmp_path / "empty.jsonl", [])
    with pytest.raises(DataError, match=r"empty.jsonl: .*: it is empty"):
        read_conversation_file(empty, 10)
    for path, words in (
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path / "folder", "has no .jsonl file"),
        (write_lines(tmp_path / "a.json", []), "is no .jsonl file"),
    ):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(DataError, match=words):
            list_conversation_files([path])
    (tmp_path / "folder" / "odd.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"two files are called odd\.jsonl"):
        list_conversation_files([odd, tmp_path / "folder"])


def test_a_folder_of_three_formats_has_an_account_of_each_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", talks(80))
    write_lines(tmp_path / "b.jsonl", [SHAREGPT])
    write_lines(tmp_path / "c.jsonl", [{**ALPACA, "history": []}])
    built = chat(tmp_path).build(0, Settings())
    files = built.source["files"]
    assert isinstance(files, list)
    assert [(each["name"], each["format"], each["conversations"]) for each in files] == [
        ("a.jsonl", "messages", 80),
        ("b.jsonl", "sharegpt", 1),
        ("c.jsonl", "alpaca", 1),
    ]
    assert str(tmp_path) not in json.dumps(built.description())
    named = built.examples.filter(id="b.jsonl:1:4")["messages"].to_list()
    assert not named or [Message(**turn).content for turn in named[0]] == list(SAID[:3])
