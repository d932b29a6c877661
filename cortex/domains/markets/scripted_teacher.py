"""A stand-in for a teacher of markets, which reasons by rule from the prompt, with the faults of a real one.

It understands `flow`. It is all but blind to `whales`: it suspects that they matter, hardly knows which way, often
calls them unclear, and where it guesses it is wrong one time in three. It is unsure of its numbers, now and then reads
`flow` the wrong way round, and a few of its answers break the protocol or cite what the prompt does not say. Where a
prompt has neither, as with a chain's own metrics, it reads `active` and `fees` in their place. What it answers depends
on the prompt and its seed alone.
"""

import hashlib
import math
import random

from cortex.domains.markets.grounding import readings
from cortex.domains.markets.protocol import Answer, render_answer

UNDERSTOOD = {"flow": -1.2}
"""Log-odds of a rise per standard deviation, for the readings that it understands."""
GUESSED = {"whales": 0.5}
"""The same for readings whose sign it guesses. Timid, since a wrong guess costs more than a right one earns."""
IN_PLACE = {"active": UNDERSTOOD["flow"]}, {"fees": GUESSED["whales"]}
"""The same, understood and guessed, for prompts without any of the readings above."""
FAINT = {"mom7": 0.05, "draw": -0.05}
"""The same for readings that it uses if the prompt has none of the others: next to nothing."""

GUESSES = 0.55
"""Share of the answers in which it guesses rather than calling a reading unclear."""
GUESSED_RIGHT = 0.65
"""Share of its guesses that are right."""
CONTRARY = 0.03
"""Share of the answers that read what it understands the wrong way round."""
UNSURE = 0.15
"""Standard deviation of the noise in its log-odds."""
BROKEN = 0.02
"""Share of the answers that break the protocol."""
UNGROUNDED = 0.03
"""Share of the answers that cite a number which the prompt does not contain."""


def answer(prompt: str, seed: int = 0) -> str:
    """The teacher's text for one prompt."""
    rng = random.Random(hashlib.sha256(f"{seed}\n{prompt}".encode()).digest())
    known = readings(prompt)
    contrary = -1.0 if rng.random() < CONTRARY else 1.0
    guess = 0.0 if rng.random() >= GUESSES else 1.0 if rng.random() < GUESSED_RIGHT else -1.0
    understood, guessed = (UNDERSTOOD, GUESSED) if known.keys() & {*UNDERSTOOD, *GUESSED} else IN_PLACE
    pulls = {name: contrary * weight * _cut(known[name]) for name, weight in understood.items() if name in known}
    pulls |= {name: guess * weight * _cut(known[name]) for name, weight in guessed.items() if name in known}
    if not pulls:
        pulls = {name: weight * _cut(known[name]) for name, weight in FAINT.items() if name in known}
    log_odds = sum(pulls.values()) + rng.gauss(0, UNSURE)
    p_up = round(min(9, int(10 / (1 + math.exp(-log_odds)))) / 10 + 0.05, 2)

    cited = {name: known[name] for name in pulls}
    if cited and rng.random() < UNGROUNDED:
        cited[next(iter(cited))] += 1
    reasoning = " ".join(f"{name}:{_signed(value)} {_verdict(pulls[name])}" for name, value in cited.items())
    text = render_answer(_forecast(reasoning, p_up, known.get("range", 2.0)))
    return text.removesuffix("</answer>") if rng.random() < BROKEN else text


def _forecast(reasoning: str, p_up: float, size_pct: float) -> Answer:
    """The numbers that follow from a probability and the size of the asset's usual moves, in percent."""
    mean = _grid((2 * p_up - 1) * size_pct)
    reach = max(0.5, _grid(1.75 * size_pct))
    return Answer(
        reasoning or "nothing to go by", p_up, "up" if p_up >= 0.5 else "down", mean, mean - reach, mean + reach
    )


def _cut(value: float) -> float:
    return max(-2.0, min(2.0, value))


def _verdict(pull: float) -> str:
    return "up" if pull > 0 else "down" if pull < 0 else "unclear"


def _signed(value: float) -> str:
    return f"{value:+g}" if value > 0 else f"{value:g}"


def _grid(value: float) -> float:
    """Half percents below four, whole ones above: few enough numbers for a small model to learn."""
    return round(value) if abs(value) >= 4 else round(2 * value) / 2
