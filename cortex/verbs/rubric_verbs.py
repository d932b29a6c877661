"""`cortex rubric`: reasoning compared by a judge model, and the judge compared with people."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import harmless, json_text
from cortex.verbs.options import AsJson, read_path

if TYPE_CHECKING:
    from cortex.benchmarks.rubric_record import RubricRecord

app = typer.Typer(help="Judge reasoning by a rubric, with a judge model.", no_args_is_help=True)

RubricFile = Annotated[
    Path, typer.Option("--rubric", parser=read_path, metavar="FILE", help="The judge and its criteria.")
]
REFUSED = 1
"""Exit code where the judge has no verdict."""


@app.callback()
def rubric() -> None:
    """Judge reasoning by a rubric, with a judge model. Its key goes into CORTEX_JUDGE_API_KEY."""


@app.command()
def compare(
    answers: Annotated[
        Path, typer.Argument(parser=read_path, metavar="ANSWERS", help="Answers that `cortex benchmark --to` kept.")
    ],
    against: Annotated[
        Path, typer.Option(parser=read_path, metavar="ANSWERS", help="Another model's, to the same questions.")
    ],
    rubric_file: RubricFile,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="The benchmark, where the answers are of several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a judge say whose reasoning is better, each pair in both orders."""
    from cortex.benchmarks.answers_file import read_answers
    from cortex.benchmarks.pairwise import compare_by_rubric
    from cortex.benchmarks.rubric import read_rubric
    from cortex.settings import Settings

    found, first, second = read_rubric(rubric_file), read_answers(answers), read_answers(against)
    names = list(first.suites)
    if task is None and len(names) != 1:
        raise UsageError(f"{answers} has answers to {', '.join(names)}: choose one with --task")
    record = compare_by_rubric(found, first, second, task or names[0], Settings(), _tell)
    if as_json:
        print(json_text(record.model_dump(mode="json") | {"sentences": record.sentences()}))
    else:
        _print_comparison(record)
    if record.refusal:
        raise typer.Exit(REFUSED)


@app.command()
def people(
    labels: Annotated[
        Path, typer.Argument(parser=read_path, metavar="DIR", help="The folder of labels that people have reviewed.")
    ],
    review: Annotated[
        Path, typer.Option(parser=read_path, metavar="DIR", help="Their decisions, as `cortex review` keeps them.")
    ],
    rubric_file: RubricFile,
    as_json: AsJson = False,
) -> None:
    """Measure how far a judge and people agree on the answers that the people have reviewed."""
    from cortex.benchmarks.judge_and_people import judge_reviewed
    from cortex.benchmarks.rubric import read_rubric
    from cortex.settings import Settings
    from cortex.teaching.review.decisions import read_decisions
    from cortex.teaching.review.review_items import read_items

    found, (decided, _) = read_rubric(rubric_file), read_decisions(review)
    record = judge_reviewed(found, read_items(labels, sys.maxsize), decided, Settings(), _tell)
    if as_json:
        print(json_text(record.model_dump(mode="json") | {"sentences": record.sentences()}))
    else:
        for name, score in record.scores.items():
            print(f"{name}: {score:.2f} of 5")
        print(*map(harmless, record.sentences()), sep="\n")
        print(harmless(_cost(record.requests, record.tokens, record.dollars)))
    if record.refusal:
        raise typer.Exit(REFUSED)


def _tell(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        print(f"{done:,} of {total:,} replies of the judge", file=sys.stderr, flush=True)


def _print_comparison(record: "RubricRecord") -> None:
    from rich.table import Table

    from cortex.console import Console

    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("criterion", record.first, record.second, "difference"):
        table.add_column(harmless(heading, limit=40))
    for one in record.preferences:
        low_high = f" ({100 * one.interval.low:+.1f} to {100 * one.interval.high:+.1f})" if one.interval else ""
        difference = f"{100 * one.difference:+.1f} points{low_high}"
        table.add_row(one.criterion, f"{one.first:.1%}", f"{one.second:.1%}", difference)
    if record.preferences:
        console.print(table)
    if position := record.position:
        flips = f"{position.flips:,} of {position.sided:,} pairs change their winner with the order"
        lean = f"the judge leans {position.lean:+.3f} to the answer shown first, and {flips}"
        console.print(f"{record.readable:,} of {record.pairs:,} pairs readable; {lean}", soft_wrap=True)
    for sentence in record.sentences():
        console.print(sentence, soft_wrap=True)
    console.print(_cost(record.requests, record.tokens, record.dollars), soft_wrap=True)


def _cost(requests: int, tokens: int, dollars: str | None) -> str:
    money = "no price is known" if dollars is None else f"${float(dollars):,.4f}"
    return f"{requests:,} requests, {tokens:,} tokens, {money}"
