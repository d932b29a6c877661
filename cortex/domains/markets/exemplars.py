"""Replies of known worth to a market's question."""

from cortex.domains.domain import Exemplars
from cortex.domains.markets.grounding import readings
from cortex.domains.markets.outcomes import rise
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.question import Example


def exemplars(example: Example) -> Exemplars:
    """A forecast that knows the outcome, one that knows nothing, and replies that only look like forecasts."""
    assert isinstance(example.truth, float | int)
    happened = 100 * example.truth
    name, value = next(iter(readings(example.text).items()))
    reasoning = f"{name}:{value:+g}" if value > 0 else f"{name}:{value:g}"
    up = rise(example.truth)
    gold = Answer(reasoning, up, "up" if up >= 0.5 else "down", happened, happened - 1, happened + 1)
    honest = Answer(reasoning, 0.5, "up", 0.0, -5.0, 5.0)
    wrong = Answer(reasoning, float(up < 0.5), "up" if up < 0.5 else "down", 0.0, -5.0, 5.0)
    return Exemplars(
        gold=render_answer(gold),
        honest=render_answer(honest),
        gaming={
            "certain and wrong": render_answer(wrong),
            "no answer": f"<think>{reasoning}</think>",
            "an answer without a thought": render_answer(honest).partition("</think>")[2],
            "two answers": render_answer(honest) + render_answer(gold).partition("</think>")[2],
        },
    )
