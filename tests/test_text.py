import json
import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from rich.table import Table
from rich.text import Text

from cortex.console import Console, guard_log
from cortex.text import LONGEST, LogFilter, code, harmless, json_text, markdown
from tests.hostile import HOSTILE, odd_characters

ANY = st.text(st.characters(codec=None), max_size=60) | st.sampled_from(HOSTILE)


@given(ANY)
def test_every_character_shows_itself_and_nothing_else(text: str) -> None:
    line = harmless(text)
    assert line.isprintable() and line == " ".join(line.split())
    assert harmless(line) == line
    assert odd_characters(harmless(text, lines=True)) == set()
    line.encode()


@given(ANY)
def test_json_shows_every_character_and_reads_back(text: str) -> None:
    shown = json_text({text: [text]})
    assert odd_characters(shown) == set() and shown.isascii()
    assert json.loads(shown) == json.loads(json.dumps({text: [text]}))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert harmless(text, lines=True) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m", r"a\x1b[31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb", r"a\u200bb"),
        ("\ud800", r"\ud800"),
        ("a\r\nb\tc", "a b c"),
        ("schöne Grüße 漢字 ✓", "schöne Grüße 漢字 ✓"),
        ("a\u00a0b", "a b"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 4),
        (12, "12"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: object, shown: str) -> None:
    assert harmless(text) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert harmless("x" * (LONGEST + 5)) == "x" * LONGEST + "... (5 more characters)"
    assert len(harmless("\x1b" * 10**6)) < 5 * LONGEST


@given(ANY)
def test_markdown_makes_nothing_of_it(text: str) -> None:
    made = markdown(text)
    assert "\n" not in made and "<" not in made and "://" not in made
    assert not re.search(r"(?<!\\)(\\\\)*[\[\]`*_|~$]", made)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("![x](https://example.org/a.png)", r"!\[x\](https: //example.org/a.png)"),
        ("<img src=x> &lt;b&gt;", "&lt;img src=x> &amp;lt;b&amp;gt;"),
        ("# title", r"\# title"),
        ("1. one", r"1\. one"),
        ("a | b", r"a \| b"),
        ("www.example.org", r"www\.example.org"),
        ("a-b 0.5 (c)", "a-b 0.5 (c)"),
    ],
)
def test_links_images_tags_and_cells_are_shown_as_they_were_written(text: str, made: str) -> None:
    assert markdown(text) == made


@given(ANY)
def test_a_code_span_cannot_be_left(text: str) -> None:
    made = code(text)
    fence = re.match("`+", made)
    assert fence and made.endswith(fence[0])
    assert all(len(run) < len(fence[0]) for run in re.findall("`+", made[len(fence[0]) : -len(fence[0])]))


@given(st.lists(st.binary(max_size=20) | st.sampled_from([text.encode(errors="replace") for text in HOSTILE])))
def test_a_log_is_harmless_however_it_is_cut(parts: list[bytes]) -> None:
    whole, pieces = LogFilter(colours=True), LogFilter(colours=True)
    data = b"".join(parts)
    made = whole.feed(data) + whole.end()
    assert odd_characters(made) == set()
    assert "".join(pieces.feed(bytes([byte])) for byte in data) + pieces.end() == made
    plain = LogFilter(colours=False)
    assert "\x1b" not in plain.feed(data) + plain.end()


def test_a_log_keeps_its_colours_and_loses_what_moves_or_hides() -> None:
    log = LogFilter(colours=True)
    text = "\x1b[1;32mgood\x1b[0m 50%\r60%\r\n\x1b[A\x1b[8mhidden\x1b[41mback\x1b]0;title\x07 end\x1b[38;5;9m!"
    assert log.feed(text.encode()) + log.end() == (
        "\x1b[1;32mgood\x1b[0m 50%\n60%\nhiddenback\\x1b]0;title\\x07 end\x1b[38;5;9m!\x1b[0m"
    )


@given(ANY)
def test_the_console_prints_any_text_as_it_is(text: str) -> None:
    out = StringIO()
    console = Console(file=out, width=300)
    table = Table("one", "two")
    table.add_row(text, Text(text, "bold"))
    console.print(text, soft_wrap=True)
    console.print(table)
    assert odd_characters(out.getvalue()) == set()


def test_the_console_reads_no_markup() -> None:
    out = StringIO()
    Console(file=out, width=300).print("[/bold] [red]x[/red] :smile:")
    assert out.getvalue() == "[/bold] [red]x[/red] :smile:\n"


def test_what_is_logged_is_harmless() -> None:
    out = StringIO()
    guard_log()
    sink = logger.add(out, format="{message}")
    logger.warning("a store says \x1b]0;PWNED\x07")
    logger.remove(sink)
    assert out.getvalue() == "a store says \\x1b]0;PWNED\\x07\n"
