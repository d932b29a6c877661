"""The chapters of a chat model's page: banned words, the kinds of replies, and the rules' scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortex.domains.chat.talk_scores import STEP
from cortex.domains.dataset_score import BIAS, QUALITY, REASONING
from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.grades import Bools, Floats, Grades
from cortex.evaluation.groups import wilson

if TYPE_CHECKING:
    import polars as pl

    from cortex.evaluation.study import Study


def chat_chapters(study: "Study", train: "pl.DataFrame", banned: Sequence[str]) -> list[Chapter]:
    """The chapters, that of banned words only where some are banned."""
    return [*([_banned(study, banned)] if banned else []), _kinds(study), _scores(study, train)]


def banned_share(study: "Study", grades: Grades) -> Cell:
    """The share of conversations with a banned word in a reply, with Wilson's interval.

    A conversation counts once, however many of its replies have one: replies of one conversation are not independent.
    """
    rude = np.zeros(len(study.clusters))
    np.maximum.at(rude, study.clusters.of, grades.values("banned"))
    share = float(rude.mean())
    return Cell(value=share, interval=wilson(share, len(rude)))


def _banned(study: "Study", banned: Sequence[str]) -> Chapter:
    grades = study.contenders[study.judged]
    cell = banned_share(study, grades)
    assert cell.value is not None and cell.interval is not None
    count = int(grades.values("banned").sum())
    found = f"{study.judged} has a banned word in {count:,} of {len(grades):,} replies"
    sentence = (
        f"{found}, in {cell.value:.2%} of {len(study.clusters):,} conversations (95% interval {cell.interval.low:.2%} "
        f"to {cell.interval.high:.2%}). Held-out prompts were not written to provoke it: others may."
    )
    headings = [Heading(title="Replies", form=",.0f"), Heading(title="Conversations", form=".2%")]
    rows = [
        Row(
            name=name,
            cells=[Cell(value=float(each.values("banned").sum())), banned_share(study, each)],
            is_judged=name == study.judged,
        )
        for name, each in study.contenders.items()
    ]
    note = f"Whole words and phrases, in any case: {', '.join(banned)}. The interval is Wilson's, over conversations."
    return Chapter(
        name="banned",
        title="Banned words",
        sentences=[sentence],
        tables=[Table(title="With a banned word", note=note, headings=headings, rows=rows)],
    )


def _kinds(study: "Study") -> Chapter:
    """Worth of the replies that are to name something, and of the others."""
    asked = study.contenders[study.judged].values("asked") > 0
    kinds = [("Named what was asked", asked), ("Words in common, elsewhere", ~asked)]
    shown = [(title, member) for title, member in kinds if member.any()]
    rows = [
        Row(
            name=name,
            cells=[_worth(study, grades.loss, member) for _, member in shown],
            is_judged=name == study.judged,
        )
        for name, grades in study.contenders.items()
    ]
    counts = ", ".join(f"{title.lower()}: {int(member.sum()):,} replies" for title, member in shown)
    headings = [Heading(title=title, form=".3f") for title, _ in shown]
    return Chapter(
        name="reply-kinds",
        title="Kinds of replies",
        sentences=[f"The worth of a reply is 1 less its error; {counts}."],
        tables=[Table(title="Worth of replies", note="", headings=headings, rows=rows)],
    )


def _worth(study: "Study", loss: Floats, member: Bools) -> Cell:
    inside = member.astype(np.float64)
    drawn = study.resamples.means(inside)
    some = drawn > 0
    replicates = 1 - study.resamples.means(loss * inside)[some] / drawn[some]
    worth = 1 - float(loss[member].mean())
    return Cell(value=worth, interval=study.resamples.interval(worth, replicates, (0.0, 1.0)))


def _scores(study: "Study", train: "pl.DataFrame") -> Chapter:
    """The rules' scores of each contender's replies, and of the training conversations."""
    names = ("quality", "bias", "reasoning")
    rows: list[Row] = []
    for name, grades in study.contenders.items():
        parts = [grades.values(part) for part in names]
        total = QUALITY * parts[0] + BIAS * parts[1] + REASONING * parts[2]
        cells = [Cell(value=float(values.mean())) for values in (total, *parts)]
        rows.append(Row(name=name, cells=cells, is_judged=name == study.judged))
    edges = np.arange(-0.5, 1.75 + STEP / 2, STEP)
    counts, _ = np.histogram(train["total"].to_numpy(), edges)
    line = Line(name="training conversations", x=(edges[:-1] + STEP / 2).tolist(), y=counts.astype(float).tolist())
    chart = Chart(
        title="Scores of the training conversations",
        note="Those that the filter kept. dataset.json has the distribution before it.",
        x_title="score",
        y_title="conversations",
        lines=[line],
    )
    return Chapter(
        name="rule-scores",
        title="Scores by rules",
        sentences=[
            f"The score is {QUALITY:g} quality - {-BIAS:g} bias + {REASONING:g} reasoning. Its rules count varied, "
            "unrepeated and on-topic words, loaded words, and connectives: they cannot see whether a reply is true, "
            "helpful or kind, and a model that learns to please them learns words."
        ],
        tables=[
            Table(
                title="Mean scores of replies",
                note="Higher is better for all but bias. A reply that cannot be read counts as that of `usual`.",
                headings=[Heading(title=title) for title in ("Score", "Quality", "Bias", "Reasoning")],
                rows=rows,
            )
        ],
        charts=[chart],
    )
