"""Signs that a reply reads otherwise than it looks: hidden characters, look-alike letters, tags in disguise.

What people do not see, they cannot check, and a judge that reads it differently can be gamed by it.
"""

import re
import unicodedata

from cortex.text import is_hidden

_LOOK_ALIKE = (
    "АВЕЅІЈКМНОРСТУХаеорсухѕіјһԁԛԝӏ"  # Cyrillic
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"  # Greek
    "\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d6a3"  # full-width and mathematical
)
_MIXED = re.compile(rf"[A-Za-z][{_LOOK_ALIKE}]|[{_LOOK_ALIKE}][A-Za-z]")
"""A word of Latin letters with others among them that look the same."""

_TAG = re.compile(r"</?(?:think|answer)>")
_LIKE_A_TAG = re.compile(r"<\s*+(?:/\s*+)?(?:think|answer)\b[^<>]*+>")

_UNUSUAL = re.compile(r"[^ -~\n\t\r]")
"""Characters to be looked at one by one."""

_AFTER_LETTERS = frozenset("\u200c\u200d\u200e\u200f" + "".join(map(chr, range(0xFE00, 0xFE10))))
"""Hidden characters that other scripts and emoji need: they are in order after a character that is not ASCII."""
_KEYCAPS = frozenset("0123456789#*")
"""Characters that a variation selector makes an emoji of."""


def disguise(text: str) -> str | None:
    """The reason why a reply is not what people see of it; None for one that hides nothing.

    It takes time linear in the text.
    """
    if "<!--" in text:
        return "a comment, which pages do not show"
    hidden = _first_hidden(text)
    if hidden is not None:
        return f"a hidden character, U+{ord(hidden):04X}"
    if not text.isascii() and _MIXED.search(text):
        return "a word of letters that only look alike"
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    if len(_LIKE_A_TAG.findall(folded.casefold())) != len(_TAG.findall(text)):
        return "a tag in disguise"
    return None


def _first_hidden(text: str) -> str | None:
    for match in _UNUSUAL.finditer(text):
        letter, before = match.group(), text[match.start() - 1 : match.start()]
        needed = letter in _AFTER_LETTERS and (not before.isascii() or (letter == "\ufe0f" and before in _KEYCAPS))
        if is_hidden(letter) and not needed:
            return letter
    return None
