"""Signs that an answer knows what it could not: dates after the prompt's, and words of someone who looks back."""

import re

_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR = re.compile(r"(?<![\d.$,-])(20\d\d)(?![\d%,.-]\d|\d)")

LOOKING_BACK = re.compile(
    r"\b(in hindsight|with hindsight|in retrospect|looking back|as (?:we|it) (?:now know|turned out|later)"
    r"|turned out to|would later|subsequently (?:rose|fell|dropped|rallied|crashed)|went on to (?:rise|fall)"
    r"|the actual (?:outcome|return|result)|(?:historical|actual) data shows? that (?:it|the price) (?:rose|fell))\b",
    re.IGNORECASE,
)


def hindsight_signs(prompt: str, answer: str) -> list[str]:
    """The signs in an answer. Dates are compared with the latest one of the prompt; without one, only words count."""
    signs = [match.group().lower() for match in LOOKING_BACK.finditer(answer)]
    latest = max((match.group() for match in _DATE.finditer(prompt)), default=None)
    if latest:
        signs += [match.group() for match in _DATE.finditer(answer) if match.group() > latest]
        signs += [match[1] for match in _YEAR.finditer(answer) if int(match[1]) > int(latest[:4]) + 1]
    return list(dict.fromkeys(signs))
