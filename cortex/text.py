"""Sanitizing of text that others wrote, before it is shown on a terminal, a page or a card.

A name, a reason or a score comes from a bucket, a rented machine, a teacher or a file, and anybody who can write there
can put anything into it: escape sequences that set a terminal's title or clipboard, letters that reverse what follows,
or markup that becomes a link. Invisible characters are written out (`\\x1b`, `\\u202e`), so that nothing is hidden.
"""

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Any

LONGEST = 2000
"""Most characters of one text that are shown; none of the kit's own names, reasons and errors is longer."""

MARKS = 4
"""Most combining marks on one letter: more would cover the lines above it."""

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Characters that Unicode counts as printable although they show nothing."""

_MARKDOWN = re.compile(r"[\\`*_\[\]|~$]|^[#>+=-]|(?<=^\d)[.)]|(?<=^\d\d)[.)]|(?<=\bwww)\.", re.IGNORECASE)
"""Characters with a meaning in Markdown: anywhere, at the beginning of a line, or in a bare address."""


def harmless(text: object, *, limit: int = LONGEST, lines: bool = False) -> str:
    """The text with every control and invisible character written out, cut at `limit` characters.

    With `lines`, line feeds and tabs stay; without, all white space becomes single blanks and the text one line.
    """
    told = str(text)
    if len(told) > limit:
        told = f"{told[:limit]}... ({len(told) - limit:,} more characters)"
    if not lines:
        told = " ".join(told.split())
    if told.isascii() and (told.isprintable() or (lines and told.translate(_LAYOUT).isprintable())):
        return told
    return "".join(_visible(told, "\n\t" if lines else ""))


def is_hidden(letter: str) -> bool:
    """True for a character that shows nothing: a control or format character, or a filler. White space but line feeds
    and the like is none of them."""
    return unicodedata.category(letter) in ("Cc", "Cf") or bool(_INVISIBLE.match(letter))


def markdown(text: object, *, limit: int = LONGEST) -> str:
    """The text as one line of Markdown, escaped so that it makes no link, image, tag, entity or table cell.

    Some readers turn every bare address into a link: a blank after its `:` prevents that.
    """
    plain = harmless(text, limit=limit).replace("://", ": //")
    return _MARKDOWN.sub(r"\\\g<0>", plain).replace("&", "&amp;").replace("<", "&lt;")


def html_text(text: object, *, limit: int = 100_000) -> str:
    """The text escaped for HTML, between tags or in an attribute; line feeds stay."""
    return escape(harmless(text, limit=limit, lines=True))


def code(text: object, *, limit: int = LONGEST) -> str:
    """The text as a code span of Markdown, also in a table. Its fence is longer than any run of backticks in it."""
    plain = harmless(text, limit=limit).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def json_text(value: Any) -> str:
    """A value as JSON that is safe to show: DEL is the one control character that `json` does not escape."""
    return json.dumps(value, indent=1).replace("\x7f", "\\u007f")


class LogFilter:
    """Sanitizes a program's output as it arrives, in pieces that may end within a character or a sequence.

    With `colours`, bold and foreground colours stay. Other well-formed control sequences, such as a progress bar's
    movements of the cursor, are left out. A carriage return begins a new line, so that it cannot hide the one before.
    """

    _SEQUENCE = re.compile(r"\x1b\[([0-9;]{0,32})m|\x1b\[[0-?]{0,32}[ -/]{0,4}[@-~]|\r\n?")
    _UNFINISHED = re.compile(r"\x1b(\[[0-?]{0,32}[ -/]{0,4})?\Z|\r\Z")
    _ONE = r"(?:0?[0-4]|2[2-4]|[39][0-7]|39|38;5;\d{1,3}|38;2(?:;\d{1,3}){3})"
    _COLOUR = re.compile(rf"(?:{_ONE}(?:;{_ONE})*)?")
    _RESET = "\x1b[0m"

    def __init__(self, *, colours: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._colours, self._coloured = colours, False
        self._held = self._shown = ""

    def feed(self, data: bytes) -> str:
        """The text that can be shown after this piece; an unfinished sequence is held back."""
        text = self._held + self._decoder.decode(data)
        unfinished = self._UNFINISHED.search(text)
        self._held = text[unfinished.start() :] if unfinished else ""
        return self._clean(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """The text that was held back, and the end of any colour."""
        rest = self._clean(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        return rest + (self._RESET if self._coloured else "")

    def _clean(self, text: str) -> str:
        made: list[str] = []
        at = 0
        for found in self._SEQUENCE.finditer(text):
            made += (self._show(text[at : found.start()]), self._sequence(found))
            at = found.end()
        return "".join([*made, self._show(text[at:])])

    def _show(self, text: str) -> str:
        """Sanitize a piece together with the last letters before it, since their combining marks count."""
        shown = harmless(self._shown + text, limit=len(self._shown + text), lines=True)[len(self._shown) :]
        self._shown = (self._shown + shown)[-MARKS - 1 :]
        return shown

    def _sequence(self, found: re.Match[str]) -> str:
        if found[0].startswith("\r"):
            return "\n"
        if found[1] is None or not self._colours or not self._COLOUR.fullmatch(found[1]):
            return ""
        self._coloured = True
        return found[0]


_LAYOUT = {ord("\n"): " ", ord("\t"): " "}


def _visible(text: str, kept: str) -> Iterable[str]:
    marks = 0
    for letter in text:
        if unicodedata.category(letter) in ("Mn", "Me") and not _INVISIBLE.match(letter):
            marks += 1
            if marks <= MARKS:
                yield letter
            continue
        marks = 0
        if letter in kept:
            yield letter
        elif unicodedata.category(letter) == "Zs":
            yield " "
        elif letter.isprintable() and not _INVISIBLE.match(letter):
            yield letter
        else:
            yield letter.encode("unicode_escape").decode()
