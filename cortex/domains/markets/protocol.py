"""The answer protocol: writing of prompts, and reading of answers.

An answer is `<think>reasoning</think><answer>{json}</answer>`, the JSON holding the probability that the price rises,
the direction that follows from it, the expected return in percent, and a 90% interval of the return in percent.
"""

import json
import math
import re
import reprlib
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from cortex.domains.conclusions import last_sentence
from cortex.domains.disguise import disguise
from cortex.domains.markets.bars import DAY, FIXING
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.features import Feature, level
from cortex.domains.markets.news import NEWS

LARGEST_PCT = 1_000_000
"""The largest return that an answer may state, up or down: further out, differences and sums overflow."""

ANSWER_KEYS = ("p_up", "direction", "return_pct", "interval_pct")

_FORM = """\
Then answer with one JSON object inside <answer> tags, with these keys: \
"p_up", the probability that the price rises (0 to 1{unchanged}); "direction", "up" or "down", whichever is likelier; \
"return_pct", the expected return in percent; "interval_pct", the [low, high] of a 90% interval of that return."""

_INSTRUCTIONS = """\
You forecast the return of {subject}. Reason step by step inside <think> tags, \
citing only numbers given here. {form}"""


_SUBJECTS = {
    "day": "a crypto asset from market and on-chain data",
    "bar": "an asset from market data",
    "fixing": "a currency pair from its daily reference rates",
}
"""The question by the noun of the bars."""


@dataclass(frozen=True)
class Answer:
    """A forecast as stated. Returns are in percent."""

    reasoning: str
    p_up: float
    direction: Literal["up", "down"]
    return_pct: float
    low_pct: float
    high_pct: float


_STATED_DIRECTION = re.compile(r"\bdirection(?: is|:| =)? ?[\"']?(?P<word>up|down)\b", re.IGNORECASE)
_STATED_P_UP = re.compile(
    r"\bp_up[\"']?(?: is|:| =|=)? ?(?P<number>[01]?\.\d{1,9}|[01]|\d{1,3}(?=%))(?P<percent>%)?(?![\w.])", re.ASCII
)


class ProtocolError(ValueError):
    """The text is not an answer; the message says what is wrong with it."""


def instructions(config: DataConfig) -> str:
    """The question of a full prompt. Bars and fixings are often unchanged: the prompt then says how that counts."""
    return _INSTRUCTIONS.format(subject=_SUBJECTS[config.bar.noun], form=answer_form(config))


def answer_form(config: DataConfig) -> str:
    """The part of the question that asks for an answer's form."""
    return _FORM.format(unchanged="" if config.bar == DAY else ", no change counting as half a rise")


def render_prompts(
    frame: pl.DataFrame, features: list[Feature], config: DataConfig, style: Style = "full"
) -> pl.Series:
    """The prompts for the rows of `frame`, which holds `symbol`, one column per feature, and news where there are some.

    `compact` writes each feature as one `name:level` word, for models too small to read prose: standard deviations
    are rounded to whole ones and cut at two, percentages to two figures on a grid of half octaves.
    """
    prompt = _compact(features, config) if style == "compact" else _full(features, config)
    if NEWS in frame.columns and style == "full":
        texts = pl.when(pl.col(NEWS) == "").then(pl.lit("")).otherwise("\nNews known at the decision:\n" + pl.col(NEWS))
        prompt = prompt + texts
    return frame.select(prompt=prompt)["prompt"]


def render_answer(answer: Answer) -> str:
    """The canonical text of an answer."""
    body = {
        "p_up": _short(answer.p_up),
        "direction": answer.direction,
        "return_pct": _short(answer.return_pct),
        "interval_pct": [_short(answer.low_pct), _short(answer.high_pct)],
    }
    return f"<think>{answer.reasoning}</think><answer>{json.dumps(body, separators=(',', ':'))}</answer>"


def parse_answer(text: str) -> Answer:
    """Read a model's answer.

    Forgiven: white space around the blocks, a missing opening `<think>` (some chat templates write it into the prompt),
    a code fence around the JSON, numbers as strings or with a percent sign, the direction's case, further keys. Not
    forgiven: a missing or second block, text after the answer, a number that is not finite, a return beyond a million
    percent, a probability outside 0 to 1, a direction against the probability, an interval that does not contain the
    expected return, a key that is there twice, digits of other scripts, text that is hidden or only looks like other
    text, a reasoning that ends with the other direction.

    Raises:
        ProtocolError: the text is not an answer.
    """
    if reason := disguise(text):
        raise ProtocolError(reason)
    head, closing, rest = text.partition("</think>")
    if not closing:
        raise ProtocolError("no </think>")
    reasoning, rest = head.strip().removeprefix("<think>").strip(), rest.strip()
    if not reasoning:
        raise ProtocolError("the reasoning is empty")
    if "<think>" in reasoning or "<answer>" in reasoning or "</think>" in rest or "<think>" in rest:
        raise ProtocolError("more than one <think> block, or an answer inside it")
    body = rest.removeprefix("<answer>").removesuffix("</answer>")
    if len(rest) - len(body) != len("<answer></answer>") or "<answer>" in body or "</answer>" in body:
        raise ProtocolError("not exactly one <answer> block at the end")
    try:
        values = json.loads(_unfenced(body.strip()), object_pairs_hook=_each_key_once)
    except ProtocolError:
        raise
    except (ValueError, RecursionError) as error:  # ValueError too: an integer of thousands of digits
        raise ProtocolError(f"the answer is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ProtocolError("the answer is not a JSON object")
    return _checked(reasoning, values)


def _checked(reasoning: str, values: dict[str, Any]) -> Answer:
    missing = [key for key in ANSWER_KEYS if key not in values]
    if missing:
        raise ProtocolError(f"missing: {', '.join(missing)}")
    p_up = _number(values["p_up"], percent_scale=0.01)
    if not 0 <= p_up <= 1:
        raise ProtocolError(f"p_up is {p_up}, not between 0 and 1")
    stated = values["direction"]
    direction = stated.strip().lower() if isinstance(stated, str) else None
    if direction not in ("up", "down"):
        raise ProtocolError(f'direction is {reprlib.repr(stated)}, not "up" or "down"')
    if (p_up > 0.5 and direction == "down") or (p_up < 0.5 and direction == "up"):
        raise ProtocolError(f"direction {direction} contradicts p_up {p_up}")
    interval = values["interval_pct"]
    if not isinstance(interval, list) or len(interval) != 2:
        raise ProtocolError("interval_pct is not a list of two numbers")
    low, high = _number(interval[0]), _number(interval[1])
    return_pct = _number(values["return_pct"])
    if max(abs(low), abs(return_pct), abs(high)) > LARGEST_PCT:
        raise ProtocolError(f"a return beyond {LARGEST_PCT:,} percent: {return_pct} in [{low}, {high}]")
    if not low <= return_pct <= high or low == high:
        raise ProtocolError(f"interval [{low}, {high}] does not contain the expected return {return_pct}")
    concluded = conclusion_direction(reasoning)
    if p_up != 0.5 and concluded not in (None, direction):
        raise ProtocolError(f"the reasoning ends with {concluded}, and the answer is {direction}")
    return Answer(reasoning, p_up, direction, return_pct, low, high)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of a key that is there twice, one reader takes the first value and another the last."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ProtocolError("a key of the answer is there twice")
    return values


def conclusion_direction(reasoning: str) -> str | None:
    """The direction that the last sentence of a reasoning states, as `direction: up` or a `p_up`; None without any."""
    last = last_sentence(reasoning)
    stated = [match["word"].lower() for match in _STATED_DIRECTION.finditer(last)]
    for match in _STATED_P_UP.finditer(last):
        p_up = float(match["number"]) * (0.01 if match["percent"] else 1)
        if p_up != 0.5:
            stated.append("up" if p_up > 0.5 else "down")
    return stated[0] if len(set(stated)) == 1 else None


def _unfenced(body: str) -> str:
    """The JSON inside a code fence, where there is one."""
    if len(body) >= 6 and body.startswith("```") and body.endswith("```"):
        return body[3:-3].removeprefix("json")
    return body


def _number(value: Any, percent_scale: float = 1.0) -> float:
    """A finite number, also from a string; one that ends in a percent sign is multiplied by `percent_scale`."""
    scale = 1.0
    if isinstance(value, str):
        value = value.strip()
        if not value.isascii() or "_" in value:  # `float` reads digits of any script, and 1_0 as 10
            raise ProtocolError(f"{reprlib.repr(value)} is not a number in plain digits")
        if value.endswith("%"):
            value, scale = value[:-1], percent_scale
    if isinstance(value, bool):
        raise ProtocolError(f"{reprlib.repr(value)} is not a number")
    try:
        number = float(value) * scale
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"{reprlib.repr(value)} is not a number") from error
    if not math.isfinite(number):
        raise ProtocolError(f"{reprlib.repr(value)} is not finite")
    return number


def _short(value: float) -> float | int:
    """The number to four decimals, without a trailing `.0`, and never `-0`."""
    rounded = round(value, 4) + 0.0
    return int(rounded) if rounded == int(rounded) else rounded


def _compact(features: list[Feature], config: DataConfig) -> pl.Expr:
    words = [pl.col("symbol") + f" {config.horizon.short()}"]
    for feature in features:
        value = pl.col(feature.name)
        if feature.unit == "z":
            whole = level(value).cast(pl.Int64)
            word = pl.when(whole > 0).then("+" + whole.cast(pl.String)).otherwise(whole.cast(pl.String))
        else:
            half_octaves = (value.clip(lower_bound=1e-3).log(2) * 2).round()
            word = (2.0 ** (half_octaves / 2)).round_sig_figs(2).cast(pl.String).str.replace(r"\.0$", "")
        words.append(pl.lit(f"{_word(feature.name)}:") + word)
    return pl.concat_str(words, separator=" ")


def _full(features: list[Feature], config: DataConfig) -> pl.Expr:
    parts = [
        pl.lit(instructions(config) + f"\n\n{'Pair' if config.bar == FIXING else 'Asset'}: "),
        pl.col("symbol"),
        pl.lit(f"\nHorizon: {config.horizon.words(config.bar)}\nKnown at the decision:"),
    ]
    for feature in features:
        unit = "standard deviations from its recent mean" if feature.unit == "z" else "percent"
        parts += [
            pl.lit(f"\n- {_word(feature.name)} ({_aside(feature.label)}, {unit}): "),
            pl.col(feature.name).round(2).cast(pl.String),
        ]
    return pl.concat_str(parts)


def _word(name: str) -> str:
    """A user's column name as one word that `grounding.readings` finds again."""
    word = re.sub(r"\W+", "_", name)
    return word if word[:1].islower() else f"_{word}"


def _aside(label: str) -> str:
    """A label as it can stand in parentheses."""
    return label.replace("(", "").replace(")", "")
