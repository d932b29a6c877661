import json
import math
import re
import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.disguise import disguise
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import Feature, level
from cortex.domains.markets.grounding import citations, readings
from cortex.domains.markets.protocol import (
    LARGEST_PCT,
    Answer,
    ProtocolError,
    Style,
    parse_answer,
    render_answer,
    render_prompts,
)

GOOD = '{"p_up":0.65,"direction":"up","return_pct":0.5,"interval_pct":[-3,4]}'

PERCENTS = st.integers(-500_000, 500_000).map(lambda whole: whole / 10_000)
REASONINGS = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"])).filter(
    lambda text: text.strip() == text != "" and disguise(text) is None
)


def whole(body: str, reasoning: str = "flow:-2 up") -> str:
    return f"<think>{reasoning}</think><answer>{body}</answer>"


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    p_up = draw(st.integers(0, 10_000)) / 10_000
    low, middle, high = sorted(draw(st.lists(PERCENTS, min_size=3, max_size=3, unique=True)))
    return Answer(draw(REASONINGS), p_up, "up" if p_up >= 0.5 else "down", middle, low, high)


@given(answers())
def test_what_is_rendered_is_read_back(answer: Answer) -> None:
    assert parse_answer(render_answer(answer)) == answer


@pytest.mark.parametrize(
    "text",
    [
        f"\n <think>\n flow:-2 up \n</think>\n\n<answer> {GOOD} </answer>\n",
        f"flow:-2 up</think><answer>{GOOD}</answer>",
        whole(f"```json\n{GOOD}\n```"),
        whole(f"```{GOOD}```"),
        whole(GOOD.replace("0.65", '"65%"').replace("0.5,", '" 0.5 %",')),
        whole(GOOD.replace('"up"', '" UP "')),
        whole(GOOD.replace("{", '{"note":"so","deeper":{"x":[1]},')),
    ],
)
def test_what_is_harmless_is_forgiven(text: str) -> None:
    assert parse_answer(text) == Answer("flow:-2 up", 0.65, "up", 0.5, -3, 4)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_probability_of_one_half_goes_with_either_direction(direction: str) -> None:
    """The answer states the likelier direction; if both are equally likely, either is right."""
    answer = parse_answer(whole(GOOD.replace("0.65", "0.5").replace('"up"', f'"{direction}"')))
    assert (answer.p_up, answer.direction) == (0.5, direction)


@pytest.mark.parametrize("p_up", [0, 1])
def test_certainty_is_an_answer(p_up: int) -> None:
    direction = "up" if p_up else "down"
    assert parse_answer(whole(GOOD.replace("0.65", str(p_up)).replace('"up"', f'"{direction}"'))).p_up == p_up


@pytest.mark.parametrize("interval", ["[0.5,4]", "[-3,0.5]"])
def test_an_expected_return_on_the_intervals_end_is_within_it(interval: str) -> None:
    """Coverage counts outcomes in the same way: an interval includes its ends."""
    assert parse_answer(whole(GOOD.replace("[-3,4]", interval))).return_pct == 0.5


@pytest.mark.parametrize("interval", [f"[-3,{LARGEST_PCT}]", f"[-{LARGEST_PCT},4]"])
def test_the_largest_return_may_be_stated_and_none_beyond_it(interval: str) -> None:
    answer = parse_answer(whole(GOOD.replace("[-3,4]", interval)))
    assert max(-answer.low_pct, answer.high_pct) == LARGEST_PCT
    beyond = interval.replace(str(LARGEST_PCT), f"{LARGEST_PCT}.1")
    with pytest.raises(ProtocolError, match="a return beyond 1,000,000 percent"):
        parse_answer(whole(GOOD.replace("[-3,4]", beyond)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no </think>"),
        (GOOD, "no </think>"),
        (whole(GOOD, reasoning="  "), "reasoning is empty"),
        (whole(GOOD, reasoning="a<think>b"), "more than one <think>"),
        (f"<think>a</think>b</think><answer>{GOOD}</answer>", "more than one <think>"),
        (f"<think>a <answer>{GOOD}</answer></think><answer>{GOOD}</answer>", "answer inside it"),
        ("<think>a</think>", "not exactly one <answer>"),
        (f"<think>a</think>{GOOD}", "not exactly one <answer>"),
        (f"<think>a</think><answer>{GOOD}", "not exactly one <answer>"),
        (whole(GOOD) + whole(GOOD), "more than one"),
        (f"{whole(GOOD)}<answer>{GOOD}</answer>", "not exactly one <answer>"),
        (whole(GOOD) + " so buy", "not exactly one <answer>"),
        (whole("up"), "not JSON"),
        (whole("[1]"), "not a JSON object"),
        (whole('{"p_up":0.5}'), "missing: direction, return_pct, interval_pct"),
        (whole(GOOD.replace("0.65", "1.2")), "not between 0 and 1"),
        (whole(GOOD.replace("0.65", "NaN")), "not finite"),
        (whole(GOOD.replace("0.65", "true")), "not a number"),
        (whole(GOOD.replace("0.65", "null")), "not a number"),
        (whole(GOOD.replace("0.65", '"likely"')), "not a number"),
        (whole(GOOD.replace("0.65", "1" * 5000)), "not JSON"),
        (whole(GOOD.replace("0.65", "1" * 4000)), "not a number"),
        (whole(GOOD.replace('"up"', '"sideways"')), "direction is"),
        (whole(GOOD.replace('"up"', '"down"')), "contradicts"),
        (whole(GOOD.replace("0.65", "0.35")), "contradicts"),
        (whole(GOOD.replace("[-3,4]", "[1,4]")), "does not contain"),
        (whole(GOOD.replace("[-3,4]", "[4,-3]")), "does not contain"),
        (whole(GOOD.replace("[-3,4]", "[0.5,0.5]")), "does not contain"),
        (whole(GOOD.replace("[-3,4]", "[-3,1e999]")), "not finite"),
        (whole(GOOD.replace("[-3,4]", "4")), "not a list of two"),
        (whole(GOOD.replace("[-3,4]", "[1,2,3]")), "not a list of two"),
        (whole(GOOD.replace("{", '{"p_up":0.9,')), "there twice"),
        (whole(GOOD.replace("0.65", '"\uff10.\uff16"')), "plain digits"),
        (whole(GOOD.replace("0.5,", '"1_0",')), "plain digits"),
        (whole(GOOD, reasoning="up\u200b"), "a hidden character, U+200B"),
        (whole(GOOD, reasoning="fl\u043ew:-2 up"), "only look alike"),
        (whole(GOOD, reasoning="up <Answer>no</Answer>"), "a tag in disguise"),
        (whole(GOOD, reasoning="up <!-- p_up 1 -->"), "a comment"),
        (whole(GOOD, reasoning="flow:-2 up. So the direction is down."), "ends with down, and the answer is up"),
        (whole(GOOD, reasoning="flow:-2 up\np_up: 20%"), "ends with down, and the answer is up"),
    ],
)
def test_what_is_wrong_is_refused_and_named(text: str, reason: str) -> None:
    with pytest.raises(ProtocolError, match=re.escape(reason)):
        parse_answer(text)


@pytest.mark.parametrize(
    "reasoning",
    [
        "flow:-2 up. So the direction is up.",
        "p_up 0.4 by flow alone. With whales p_up is 0.65",
        "the direction is down by flow, but the direction is up by whales",
        "direction: down at first. In all it rises",
        "p_up: 50%",
        "down",
    ],
)
def test_a_reasoning_that_does_not_end_with_the_other_direction_is_fine(reasoning: str) -> None:
    assert parse_answer(whole(GOOD, reasoning=reasoning)).reasoning == reasoning


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "```",
        "json",
        GOOD,
        "NaN",
        "1e999",
        "0.5",
        *'{}[]":, \n\x00\ud800٣',
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join)))
def test_nothing_but_a_protocol_error_comes_of_any_text(text: str) -> None:
    try:
        answer = parse_answer(text)
    except ProtocolError:
        return
    assert 0 <= answer.p_up <= 1 and answer.low_pct <= answer.return_pct <= answer.high_pct


@pytest.mark.parametrize(
    "text",
    [
        " " * 1_000_000,
        "<think>" * 200_000,
        "a</think>" * 200_000,
        "a</think>" + "<answer>" * 200_000,
        whole("```" + " " * 1_000_000 + "x"),
        whole("[" * 200_000),
        whole('{"p_up":' * 5_000),
        whole(GOOD.replace("0.65", "[" * 900 + "]" * 900)),
        whole(GOOD.replace('"up"', "[" * 900 + "]" * 900)),
        "< " * 500_000,
        "<" + " " * 1_000_000,
        "<think " * 150_000,
        whole(GOOD, reasoning="direction " * 100_000 + "\u200b"),
    ],
)
def test_hostile_texts_are_refused_in_no_time(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ProtocolError):
        parse_answer(text)
    assert time.process_time() - began < 1


Z = Feature("flow", "net exchange inflow", "z")
ODD = Feature("7d fees (usd)", "7d fees (usd)", "z")
RANGE = Feature("range", "typical move", "pct")


def frame(flow: float, odd: float, size: float) -> pl.DataFrame:
    return pl.DataFrame({"symbol": ["NEAR"], "flow": [flow], ODD.name: [odd], "range": [size]})


def prompt(table: pl.DataFrame, style: Style) -> str:
    return render_prompts(table, [Z, ODD, RANGE], DataConfig(horizon_days=7), style)[0]


@settings(max_examples=60, deadline=None)
@given(flow=st.floats(-9, 9), odd=st.floats(-9, 9), size=st.floats(0.001, 300))
def test_a_full_prompts_numbers_are_read_back(flow: float, odd: float, size: float) -> None:
    found = readings(prompt(frame(flow, odd, size), "full"))
    expected = {"flow": flow, "_7d_fees_usd_": odd, "range": size}
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.00501)


@settings(max_examples=60, deadline=None)
@given(flow=st.floats(-9, 9), odd=st.floats(-9, 9), size=st.floats(0.001, 300))
def test_a_compact_prompts_levels_are_read_back(flow: float, odd: float, size: float) -> None:
    found = readings(prompt(frame(flow, odd, size), "compact"))
    assert set(found) == {"flow", "_7d_fees_usd_", "range"}
    assert found["flow"] == level(pl.Series([flow]))[0]
    assert found["_7d_fees_usd_"] == level(pl.Series([odd]))[0]
    # A grid of half octaves is off by a quarter octave at most; two figures round by 5% at most.
    assert abs(math.log2(found["range"] / size)) <= 0.25 + math.log2(1.06)


@pytest.mark.parametrize("style", ["full", "compact"])
def test_a_prompt_holds_the_symbol_and_the_horizon_but_no_date(style: Style) -> None:
    text = prompt(frame(-1.83, 0.2, 3.1).with_columns(date=pl.date(2021, 3, 4)), style)
    assert "NEAR" in text and re.search(r"\b7 ?d", text)
    assert not re.search(r"(19|20)\d\d", text)


def test_one_feature_is_written_as_documented() -> None:
    table = frame(-1.83, 0.6, 3.1)
    assert prompt(table, "compact") == "NEAR 7d flow:-2 _7d_fees_usd_:+1 range:2.8"
    assert "- flow (net exchange inflow, standard deviations from its recent mean): -1.83\n" in prompt(table, "full")
    assert prompt(table, "full").endswith("- range (typical move, percent): 3.1")


def test_answers_are_written_without_needless_digits() -> None:
    text = render_answer(Answer("a", 0.5, "up", -0.0, -2.0, 2.5))
    assert json.loads(text.partition("<answer>")[2].removesuffix("</answer>"))["interval_pct"] == [-2, 2.5]
    assert "-0," not in text and "2.0" not in text


@pytest.mark.parametrize(
    ("reasoning", "cited", "ungrounded"),
    [
        ("flow:-2 up", 1, ()),
        ("flow: -2 up", 1, ()),
        ("flow:+2 up", 1, ("flow:+2",)),
        ("whales:-2 up", 1, ("whales:-2",)),
        ("it is -2, not 3", 2, ("3",)),
        ("flow:-2 flow:-2 then flow:-1", 3, ("flow:-1",)),
        ("flow:-2x and flow:-2", 1, ()),
        ("nothing to go by", 0, ()),
    ],
)
def test_citations_are_compared_with_the_prompt(reasoning: str, cited: int, ungrounded: tuple[str, ...]) -> None:
    found = citations(reasoning, "NEAR 1d flow:-2 range:1.4")
    assert (found.cited, found.ungrounded) == (cited, ungrounded)


@pytest.mark.parametrize("text", ["a" * 200_000, "a:" + "1" * 200_000 + "x", "a (" * 70_000, "1." * 100_000])
def test_grounding_takes_long_texts_in_no_time(text: str) -> None:
    began = time.process_time()
    citations(text, text)
    assert time.process_time() - began < 1
