"""Generated replies of a teacher: each is read as something, survives the journal, and is graded and rewarded."""

import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from cortex.domains.markets.domain import Markets
from cortex.domains.markets.protocol import ProtocolError, parse_answer
from cortex.domains.question import Example, Message, Question
from cortex.teaching.completion import Completion, read_reply
from cortex.teaching.journal import open_journal
from cortex.teaching.labels import SUMMARY, write_labels

from .runner import Fuzz

PROMPT = "NEAR 1d flow:-2 whales:+1 range:2.8"
ASKED = (Message("user", PROMPT),)
THOUGHTS = "flow:-2 up whales:+1 up"
ANSWER = '<answer>{"p_up":0.65,"direction":"up","return_pct":0.5,"interval_pct":[-3,4]}</answer>'
WHOLE = f"<think>{THOUGHTS}</think>{ANSWER}"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, -0.0]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>", "```json", "```")
PIECES = ("flow:-2", "flow:+1", "whales:+1", "up", '{"p_up":', "0.65", "}", "5%", "\u0663", " ", "\n", "\x00", "\u202e")
LARGE = ("9" * 400, "[" * 990, "]" * 990)
WORDS = st.lists(st.sampled_from((*TAGS, *PIECES, *LARGE, "\ud800")) | st.text(max_size=8), max_size=12).map("".join)
NUMBERS = st.integers() | st.floats() | st.sampled_from(["65%", "nan", "1e999", "", " 0.65 ", 10**400]) | JSON_VALUES
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "p_up": NUMBERS,
        "direction": st.sampled_from(["up", "down", " UP", ""]) | JSON_VALUES,
        "return_pct": NUMBERS,
        "interval_pct": st.lists(NUMBERS, max_size=3) | JSON_VALUES,
        "more": JSON_VALUES,
    },
)
TEXTS = (
    st.just(WHOLE)
    | WORDS
    | st.builds(lambda thoughts, body: f"<think>{thoughts}</think><answer>{json.dumps(body)}</answer>", WORDS, BODIES)
)
PARTS = (
    TEXTS
    | JSON_VALUES
    | st.lists(
        st.fixed_dictionaries({"type": st.sampled_from(["text", "thinking", "reasoning.text"]), "text": TEXTS}),
        max_size=3,
    )
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={"content": PARTS, "reasoning_content": PARTS, "reasoning": PARTS, "refusal": TEXTS | JSON_VALUES},
)
FINISH = st.sampled_from(["stop", "length", "content_filter", "tool_calls", None]) | JSON_VALUES
CHOICES = st.fixed_dictionaries(
    {}, optional={"message": MESSAGES | JSON_VALUES, "finish_reason": FINISH, "error": JSON_VALUES}
)
ERRORS = st.fixed_dictionaries(
    {}, optional={"message": JSON_VALUES, "code": st.integers(0, 1000) | JSON_VALUES, "type": JSON_VALUES}
)
REPLIES = st.fixed_dictionaries(
    {}, optional={"choices": st.lists(CHOICES | JSON_VALUES, max_size=2) | JSON_VALUES, "error": ERRORS | JSON_VALUES}
)


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Generated:
    """A reply, and the text that it must be read as, if that is known."""

    status: int
    body: bytes
    headers: dict[str, str]
    text: str | None = None


@st.composite
def whole(draw: st.DrawFn) -> Generated:
    """A reply that holds a whole answer, in any spelling that endpoints use, among any other fields."""
    field = draw(st.sampled_from(["reasoning_content", "reasoning"]))
    said, message = draw(
        st.sampled_from(
            [
                (WHOLE, {}),
                (WHOLE, {field: THOUGHTS}),
                (WHOLE, {field: None}),
                (ANSWER, {field: THOUGHTS}),
                (ANSWER, {field: [THOUGHTS[:5], {"text": THOUGHTS[5:]}]}),
                (None, {field: THOUGHTS + "</think>" + ANSWER}),
            ]
        )
    )
    content = draw(st.sampled_from([said, [{"type": "text", "text": said}]])) if said else said
    finish = draw(st.sampled_from(["stop", "eos", None, 7]))
    more = draw(st.dictionaries(st.text(max_size=5).map(lambda name: f"x-{name}"), JSON_VALUES, max_size=3))
    choice = {**more, "finish_reason": finish, "message": {**more, "content": content, **message}}
    return Generated(200, encode({**more, "choices": [choice], "error": draw(st.none() | ERRORS)}), {}, WHOLE)


STATUSES = st.just(200) | st.integers(100, 999)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "location"]), st.text(max_size=30), max_size=2)
ANY = st.builds(Generated, STATUSES, st.binary() | JSON_VALUES.map(encode) | REPLIES.map(encode), HEADERS)


def check_reply(generated: Generated) -> None:
    found = read_reply(generated.status, generated.body, generated.headers)
    if generated.text is not None:
        assert found == Completion("answered", generated.text)
    found.text.encode()
    assert len(found.reason) < 500 and found.reason.isprintable() and found.retry_after >= 0
    assert (found.kind == "answered") == (not found.reason)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_kept(folder / "answers.jsonl", found)
        check_labels(folder, found)
    check_reward(found.text)


def check_kept(path: Path, found: Completion) -> None:
    if found.kind in ("busy", "denied"):
        return
    with open_journal(path, {"a": ASKED}) as journal:
        journal.add("a", ASKED, found)
    with open_journal(path, {"a": ASKED}) as journal:
        assert journal.settled == {"a": Completion(found.kind, found.text, found.reason)}


def check_labels(folder: Path, found: Completion) -> None:
    completions = {"a": found, "b": Completion("answered", WHOLE)}
    write_labels(Markets(), [Question(name, ASKED) for name in completions], completions, folder)
    counts = json.loads((folder / SUMMARY).read_text())
    assert counts["accepted"] + counts["flagged"] + counts["rejected"] == counts["asked"] == 2


def check_reward(text: str) -> None:
    for outcome in (-0.5, 0.0, 0.5):
        graded = Markets().grade(Example("a", ASKED, outcome), text)
        assert all(0 <= value <= 1 for value in (graded.loss, *graded.parts.values())), graded
    try:
        answer = parse_answer(text)
    except ProtocolError as error:
        assert len(str(error)) < 500
        return
    assert 0 <= answer.p_up <= 1
    assert all(math.isfinite(value) for value in (answer.return_pct, answer.low_pct, answer.high_pct))


def check_journal(data: bytes) -> None:
    """Whatever the file holds, an answer that was written after it is there the next time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "answers.jsonl")
        path.write_bytes(data)
        with open_journal(path, {"a": ASKED}) as journal:
            journal.add("a", ASKED, Completion("answered", WHOLE))
        with open_journal(path, {"a": ASKED}) as journal:
            assert journal.settled["a"] == Completion("answered", WHOLE)


ROWS = st.fixed_dictionaries(
    {},
    optional={
        "example_id": st.sampled_from(["a", "b"]) | JSON_VALUES,
        "prompt": st.just(PROMPT) | JSON_VALUES,
        "answer": TEXTS | JSON_VALUES,
        "kind": st.sampled_from(["answered", "odd", "denied"]) | JSON_VALUES,
    },
)
FILES = st.lists(st.binary() | JSON_VALUES.map(encode) | ROWS.map(encode), max_size=5).map(b"\n".join)


def test_generated_replies_are_read_kept_graded_and_rewarded(fuzz: Fuzz) -> None:
    fuzz(whole() | ANY, check_reply)


def test_generated_journals_are_read_and_go_on(fuzz: Fuzz) -> None:
    fuzz(FILES | FILES.map(lambda data: data + b"\n"), check_journal)
