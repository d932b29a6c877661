"""Questions that need tools: their limits, their point in time, and the promises of the domain."""

import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from cortex.domains.contract import check_domain
from cortex.domains.episode import Dialogue, hold, one_reply
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Example, Message, Question
from cortex.domains.tools.calculation import calculate
from cortex.domains.tools.domain import Tools
from cortex.domains.tools.made_world import make_world
from cortex.domains.tools.sql_sandbox import SqlSandbox
from cortex.domains.tools.text_search import TextSearch
from cortex.domains.tools.tool_calls import CallError, Style, write_call
from cortex.domains.tools.tool_prompt import read_answer, same
from cortex.domains.tools.tool_questions import read_question
from cortex.domains.tools.toolbox import TOOLS, Tool, ToolName
from cortex.settings import Settings
from tests.conversations import ask


def tools(style: Style = "compact", **values: Any) -> Tools:
    return Tools.model_validate({"kind": "tools", "style": style, "examples": 400, **values})


def told(domain: Tools, question: str, *said: str) -> list[str | None]:
    """The world's answers to each reply."""
    episode = domain.episode(Example("", ask(question)[0], None))
    answers = [episode.step(reply) or () for reply in said]
    return [answer[0].content if answer else None for answer in answers]


@pytest.mark.parametrize("style", ["compact", "full"])
def test_the_domain_keeps_its_promises(style: Style) -> None:
    domain = tools(
        style, questions={"price": 1, "change": 1, "calculator": 1, "search": 1, "trading_days": 1, "sql": 1}
    )
    broken = [kept for kept in check_domain(domain, Settings()) if not kept.kept]
    assert not broken


@pytest.mark.parametrize("style", ["compact", "full"])
def test_a_faultless_script_answers_every_kind_of_question(style: Style) -> None:
    kinds = ("calculator", "search", "price", "change", "trading_days", "sql")
    domain = tools(style, questions=dict.fromkeys(kinds, 1), faults=0)
    examples = list(read_rows(domain.build(1, Settings()).examples))[:120]

    def play(prompts: list[Conversation]) -> list[str]:
        return [domain.script(Question("", prompt), 0) for prompt in prompts]

    held = hold([Dialogue(example.messages, domain.episode(example)) for example in examples], play)
    grades = [domain.grade_turns(example, turns) for example, turns in zip(examples, held, strict=True)]
    assert all(graded.loss == 0 and graded.valid for graded in grades)
    calls = {
        asked.kind: graded.numbers["calls"]
        for example, graded in zip(examples, grades, strict=True)
        if (asked := read_question(example.text, style))
    }
    assert calls == {kind: 3 if kind == "change" else 1 for kind in kinds}
    unknown = [graded for example, graded in zip(examples, grades, strict=True) if example.truth == "unknown"]
    assert unknown and all(graded.numbers["mistakes"] == 1 for graded in unknown)


def test_nothing_later_than_the_question_is_told() -> None:
    domain, world = tools(), make_world(0, "compact")
    days = [day for day, is_open in zip(world.prices.days, world.prices.open, strict=True) if is_open]
    for today in days[::7]:
        for day in days:
            [answer] = told(domain, f"price near {day} today {today}", f"<call> price near {day} </call>")
            known = int(day) <= int(today)
            assert answer == (world.prices.closes["near"][int(day)] if known else f"error: {day} is after today")
    assert told(domain, "days 1 9 today 5", "<call> trading_days 1 9 </call>") == ["error: 9 is after today"]


def test_calls_in_both_forms_are_answered_and_mistakes_are_one_line_each() -> None:
    full, question = tools("full"), "Today is 2024-03-05. What was the close of near on 2024-02-13?"
    price = make_world(0, "full").prices.close("near", "2024-02-13", "2024-03-05")
    call = '<tool_call>{"name": "price", "arguments": {"symbol": "near", "day": "2024-02-13"}}</tool_call>'
    sums = '<tool_call>\n{"name": "calculator", "arguments": {"expression": 7}}\n</tool_call>'
    assert told(full, question, f"Let me look.\n{call}{sums}", "<answer>1</answer>") == [f"{price}\n7", None]
    wrong = {
        "<tool_call>{": "error: the call does not end with </tool_call>",
        "<tool_call>{</tool_call>": "error: the call is no JSON",
        f"<tool_call>{'[' * 100_000}</tool_call>": "error: the call is no JSON",
        "<tool_call>[]</tool_call>": 'error: a call is {"name": ..., "arguments": {...}}',
        '<tool_call>{"name": "shell", "arguments": {}}</tool_call>': "error: there is no tool shell, but calculator",
        '<tool_call>{"name": "price", "arguments": {"day": 1}}</tool_call>': "error: price takes symbol, day, not day",
    }
    for reply, line in wrong.items():
        [answer] = told(full, question, reply)
        assert answer and answer.startswith(line) and "\n" not in answer
    compact = tools()
    assert told(
        compact, "calc 1", "<call> calculator 2 + 3 </call>", "<call>  </call>", "<call> price near </call>"
    ) == [
        "5",
        "error: there is no tool , but calculator, search, price, trading_days, sql",
        "error: price takes symbol, day, and the call has 1 words for them",
    ]


def test_limits_hold_whatever_a_reply_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = tools(max_rounds=2, answer_characters=40)
    call = "<call> calculator 1 + 1 </call>"
    assert told(domain, "calc 1", call, call, call) == ["2", "2", None]
    [many] = told(domain, "calc 1", call * 5000)
    assert many and many.splitlines()[-1].startswith("error: 8 calls at a time are answered")
    hostile: dict[ToolName, Tool] = {
        "search": Tool(("query",), "", lambda *_: "x" * 1_000_000),
        "price": Tool(("symbol", "day"), "", lambda *_: str(1 // 0)),
    }
    monkeypatch.setattr("cortex.domains.tools.toolbox.TOOLS", {**TOOLS, **hostile})
    assert told(domain, "calc 1", "<call> search a </call>", "<call> price a b </call>") == [
        f"{'x' * 40} (cut)",
        "error: price failed",
    ]


def test_arithmetic_is_exact_and_nothing_else_is_evaluated() -> None:
    rng = random.Random(0)
    for _ in range(300):
        expression = "".join(f"{rng.randint(0, 99)} {rng.choice(['+', '-', '*'])} " for _ in range(4)) + "(-7)"
        assert calculate(expression) == str(eval(expression))
    assert calculate("7 / 2") == "3.5" and calculate("-2 ** 2 + 1e2") == "96" and calculate("7 // 2 % 2") == "1"
    for expression in (
        *("9**9**9", "1/0", "2**-5000", "1e400", "(-8)**0.5", "10**25*10**25", "0**-1"),
        *("__import__('os')", "a", "True", "'a'*9", "[1]*9", "1 if 1 else 2", "", "1;2", "(" * 190),
        *("9" * 201, "x:=3", "\x00", "1_000 < 2"),
    ):
        with pytest.raises(CallError):
            calculate(expression)


@pytest.fixture(scope="module")
def base() -> SqlSandbox:
    return SqlSandbox([("boxes", ("color", "size"), [("red", at) for at in range(3000)])])


def test_a_query_reads_and_does_nothing_else(base: SqlSandbox) -> None:
    assert base.query("select count(*), max(size) from boxes where color like 'r%'") == "3000, 2999"
    assert base.query("select size from boxes").splitlines()[-2:] == ["19", "and more rows"]
    assert base.query("select size from boxes where size < 0") == "no rows"
    for query, fault in {
        "insert into boxes values ('x', 1)": "only a SELECT is allowed",
        "drop table boxes": "only a SELECT is allowed",
        "pragma query_only = off": "only a SELECT is allowed",
        "attach '/tmp/x.db' as x": "only a SELECT is allowed",
        "select load_extension('x')": "not authorized to use function: load_extension",
        "select random()": "not authorized to use function: random",
        "select hex(zeroblob(100000000))": "not authorized to use function: hex",
        "select count(*) from boxes a, boxes b, boxes c": "the query takes too many steps",
        "with recursive n as (select 1 union all select 1 from n) select 1 from n": "only a SELECT is allowed",
        "select size from boxes; drop table boxes": "You can only execute one statement at a time.",
        "selec": 'near "selec": syntax error',
        "select '" + "x" * 600 + "'": "a query has at most 500 characters",
        "\x00": "the query contains a null character",
    }.items():
        with pytest.raises(CallError) as caught:
            base.query(query)
        assert str(caught.value) == fault
    assert base.query("select count(*) from boxes") == "3000", "all is as before"


def test_a_search_ranks_by_the_words_and_has_no_operators() -> None:
    index = TextSearch(["tom lives in oslo", "ana lives in riga", "ana sails in kyoto near riga"])
    assert index.find("ana lives", 2) == ["ana lives in riga", "tom lives in oslo"]
    assert index.find('"tom" NOT (OR', 1) == ["tom lives in oslo"]
    for query in ("", '"*"', "nowhere"):
        with pytest.raises(CallError):
            index.find(query, 1)


def test_answers_are_read_in_one_form_and_compared_as_numbers_or_words() -> None:
    assert read_answer("<answer> 5 </answer>") == "5"
    assert read_answer("<think>so</think>\n<answer>Oslo</answer>") == "Oslo"
    for reply in (
        "5",
        "<answer></answer>",
        "<answer>1</answer><answer>2</answer>",
        "<call> x </call><answer>1</answer>",
    ):
        assert read_answer(reply) is None
    assert same("5.0", "5") and same("OSLO", "oslo") and not same("5", "6") and not same("nan", "5")


def test_the_grade_is_of_the_last_turn_and_counts_calls_and_mistakes() -> None:
    domain = tools()
    example = Example("price-1", ask("price near 3 today 9")[0], "42")
    call = Message("assistant", "<call> price near 3 </call>")
    turns = (call, Message("tool", "error: no"), call, Message("tool", "42"), *one_reply("<answer> 42 </answer>"))
    graded = domain.grade_turns(example, turns)
    assert (graded.loss, graded.valid, graded.numbers["calls"], graded.numbers["mistakes"]) == (0.0, True, 2.0, 1.0)
    assert not domain.grade_turns(example, turns[:1]).valid


def test_a_call_is_read_as_it_is_written() -> None:
    from cortex.domains.tools.tool_calls import Call, read_calls

    rng = random.Random(0)
    parameters = {name: tool.parameters for name, tool in TOOLS.items()}
    for style in ("compact", "full"):
        for _ in range(200):
            name = rng.choice(list(parameters))
            call = Call(name, {each: f"w{rng.randint(0, 99)}" for each in parameters[name]})
            assert read_calls(write_call(call, style), style, parameters) == [call]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"tools": ["search"]}, "questions need the tools calculator, price, sql, trading_days"),
        ({"questions": {"price": 0}}, "one above 0"),
        ({"questions": {"change": 1}, "tools": ["price"]}, "need the tools calculator"),
        ({"tools": ["shell"]}, "Input should be"),
        ({"max_rounds": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        tools(**values)


def test_the_full_prompt_names_the_tools_that_the_profile_chose() -> None:
    domain = tools("full", questions={"price": 1}, tools=["price"])
    [example, *_] = read_rows(domain.build(0, Settings()).examples)
    listed = [json.loads(line) for line in example.messages[0].content.splitlines() if line.startswith("{")]
    assert [tool["name"] for tool in listed] == ["price"]
    assert told(domain, example.text, '<tool_call>{"name": "sql", "arguments": {"query": "select 1"}}</tool_call>') == [
        "error: there is no tool sql, but price"
    ]
