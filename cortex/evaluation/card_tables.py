"""Tables of Markdown, for a model's card and its whitepaper."""

from collections.abc import Iterable, Mapping

from cortex.evaluation.confidence import Interval
from cortex.evaluation.record import Evaluation, label
from cortex.text import markdown


def score_table(evaluation: Evaluation) -> str:
    """The scores of all models and baselines, each with its 95% interval; the judged model's stands out."""
    columns = [column for column in evaluation.columns if column.on_card]
    words = evaluation.words
    header = ("Model or baseline", words.skill, words.loss, *(column.title for column in columns), "Valid")
    rows: list[tuple[str, ...]] = []
    for name, item in evaluation.contenders.items():
        row = (
            figure(item.skill, item.intervals.get("skill"), "+z.3f"),
            figure(item.loss, item.intervals.get("loss"), ".3f"),
            *(figure(item.measures[one.name], item.intervals.get(one.name), one.form) for one in columns),
            f"{item.valid_share:.1%}",
        )
        emphasis = "**" if name == evaluation.verdict.model else ""
        rows.append((f"{emphasis}{markdown(label(name))}{emphasis}", *row))
    return table(tuple(markdown(title) for title in header), rows)


def figure(value: float, interval: Interval | None, form: str) -> str:
    """A number, with its interval if it has one."""
    span = f" ({interval.low:{form}} to {interval.high:{form}})" if interval else ""
    return f"{value:{form}}{span}"


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose cells are Markdown already."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(rows: Mapping[str, str | int | float]) -> Iterable[tuple[str, str]]:
    """Rows of two cells each, escaped."""
    return ((markdown(name), markdown(value)) for name, value in rows.items())
