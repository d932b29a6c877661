"""Replies of known worth to a market's question."""

from collections.abc import Sequence

from cortex.domains.domain import Exemplars
from cortex.domains.markets.grounding import readings
from cortex.domains.markets.outcomes import rise
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.question import Example, Question
from cortex.domains.weighted_quantile import weighted_quantile


def exemplars(example: Example) -> Exemplars:
    """A forecast that knows the outcome, and replies that only look like forecasts."""
    happened, reasoning = _return_pct(example), _cite(example)
    up = rise(happened)
    gold = Answer(reasoning, up, "up" if up >= 0.5 else "down", happened, happened - 1, happened + 1)
    coin = Answer(reasoning, 0.5, "up", 0.0, -5.0, 5.0)
    wrong = Answer(reasoning, float(up < 0.5), "up" if up < 0.5 else "down", 0.0, -5.0, 5.0)
    return Exemplars(
        gold=render_answer(gold),
        gaming={
            "certain and wrong": render_answer(wrong),
            "no answer": f"<think>{reasoning}</think>",
            "an answer without a thought": render_answer(coin).partition("</think>")[2],
            "two answers": render_answer(coin) + render_answer(gold).partition("</think>")[2],
        },
    )


def honest_reply(question: Question, believed: Sequence[tuple[Example, float]]) -> str:
    """The forecast of a belief: its probability of a rise, its median, and its central 90%."""
    returns = [(_return_pct(example), probability) for example, probability in believed]
    p_up = round(sum(rise(value) * share for value, share in returns) / sum(share for _, share in returns), 4)
    low, middle, high = (weighted_quantile(returns, level) for level in (0.05, 0.5, 0.95))
    if round(high, 4) == round(low, 4):
        low, high = low - 1, high + 1
    return render_answer(Answer(_cite(question), p_up, "up" if p_up >= 0.5 else "down", middle, low, high))


def _return_pct(example: Example) -> float:
    assert isinstance(example.truth, float | int)
    return 100 * example.truth


def _cite(question: Question) -> str:
    """The plainest reasoning: the prompt's first reading."""
    name, value = next(iter(readings(question.text).items()))
    return f"{name}:{value:+g}" if value > 0 else f"{name}:{value:g}"
