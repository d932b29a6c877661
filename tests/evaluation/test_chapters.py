"""Chapters of an evaluation on its page."""

import pytest
from pydantic import ValidationError

from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.confidence import Interval
from cortex.evaluation.page_chapters import chapter_html

TABLE = Table(
    title="Kept",
    headings=[Heading(title="Coverage", form=".1%"), Heading(title="Why")],
    rows=[
        Row(name="sft_1", cells=[Cell(value=0.912, interval=Interval(low=0.88, high=0.94)), Cell(text="<b>")]),
        Row(name="base", cells=[Cell(), Cell()], is_judged=True),
    ],
)


def page(**further: object) -> str:
    return "\n".join(chapter_html(Chapter(name="gate", title="A & B", sentences=["1 < 2"], **further), "there"))  # type: ignore[arg-type]


def test_sentences_and_tables_are_shown_with_their_intervals_and_escaped() -> None:
    text = page(tables=[TABLE])
    assert "<h2>A &amp; B</h2>" in text and "<p>1 &lt; 2</p>" in text
    assert "<td>91.2%<small>88.0% to 94.0%</small></td><td>&lt;b&gt;</td>" in text
    assert '<tr class="judged"><th>base</th><td></td><td></td></tr>' in text


@pytest.mark.parametrize("is_time", [False, True])
def test_a_chart_is_drawn_with_its_bands_and_the_same_bytes_each_time(*, is_time: bool) -> None:
    line = Line(name="model", x=[1.6e9, 1.7e9], y=[0.1, 0.2], low=[0.0, 0.1], high=[0.2, 0.3])
    chart = Chart(
        title="Skill", note="", x_title="when", y_title="skill", y_form=".0%", x_is_time=is_time, lines=[line, line]
    )
    text = page(charts=[chart])
    assert text == page(charts=[chart])
    assert 'aria-label="Skill"' in text and ">20%<" in text
    assert (">2021<" in text or "2021" in text) == is_time


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Cell(value=float("nan"))
