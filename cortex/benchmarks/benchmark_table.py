"""A benchmark as a table for the terminal."""

from cortex.benchmarks.before_after import BenchmarkRecord, SuiteScore
from cortex.console import Console
from cortex.evaluation.record import Interval
from cortex.text import harmless


def print_benchmark(record: BenchmarkRecord, console: Console) -> None:
    """Print the scores, what changed, and a sentence for each suite whose interval decides."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("benchmark", no_wrap=True)
    table.add_column("questions", justify="right")
    table.add_column(harmless(record.model, limit=40))
    if record.against is not None:
        table.add_column(harmless(record.against, limit=40))
        table.add_column("difference")
        table.add_column("change")
    for one in record.suites:
        row = [harmless(one.suite), f"{one.questions:,}", _score(one.after)]
        if one.before is not None and one.difference is not None:
            points = f"{100 * one.difference:+.1f} points{_points(one.interval)}"
            row += [_score(one.before), points, str(one.change)]
        table.add_row(*row)
    console.print(table)
    for sentence in record.sentences():
        console.print(f"\n{harmless(sentence)}", soft_wrap=True)


def _score(one: SuiteScore) -> str:
    found = one.interval
    return f"{one.score:.1%}" + (f" ({found.low:.1%} to {found.high:.1%})" if found else "")


def _points(interval: Interval | None) -> str:
    return f" ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})" if interval else ""
