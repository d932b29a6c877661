"""Texts that an attacker might put where the kit reads, and output that must never come of them."""

import re

HOSTILE = (
    "\x1b]0;PWNED\x07",
    "\x1b[2J\x1b[H",
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b]8;;https://example.org\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31m\x9d0;x\x9c",
    "a\rb\x08c\x7f\x00",
    "\u202egnp.exe\u2066x\u2069",
    "one\u2028two\u2029three\u0085four",
    "zero\u200bwidth\ufeff\u00ad\u2060\U000e0041",
    "\ud800\udfff",
    "z" + "\u0301" * 50,
    "\u115f\u3164\ufe0f",
    "[red]x[/red] [/bold] [link=https://example.org]y[/link] :smile:",
)

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def odd_characters(output: str) -> set[str]:
    """Characters of a program's output that could control a terminal; colours alone are allowed."""
    return {letter for letter in _SGR.sub("", output) if not letter.isprintable() and letter not in "\n\t"}
