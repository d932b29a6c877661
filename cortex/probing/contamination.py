"""Contamination: whether the base, or the model made of it, knows the truths that it is tested on."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from cortex.domains.probe import Probe
from cortex.evaluation.chapter import Chapter, Heading, Row, Table
from cortex.evaluation.study import Study
from cortex.probing.changes import Changes
from cortex.probing.clustered import is_above, words
from cortex.probing.cutoff_split import SIDES, split_scores
from cortex.probing.probe_replies import Lens, ProbeReplies, variants
from cortex.probing.recall import Recall

Pairs = list[tuple[Probe, str]]


@dataclass(frozen=True)
class Cutoff:
    """The last day of what the base was trained on."""

    day: dt.date | None
    from_nothing: bool = False
    """The run built its base itself, which has read nothing."""


def contamination(asked: ProbeReplies, lens: Lens, study: Study, test: pl.DataFrame, cutoff: Cutoff) -> Chapter | None:
    """The chapter on contamination; None where nothing was asked for it and no cut-off is given."""
    sentences: list[str] = []
    tables: list[Table] = []
    models = [model for model in asked.replies if any(reply for _, reply in asked.of("recalled", model))]
    if asked.of("recalled"):
        told, table = _recalled(asked, models or [asked.judged], lens, cutoff)
        sentences += told
        tables.append(table)
    sentences += _wording(asked, lens)
    if cutoff.day is not None and not test["at"].has_nulls():
        told, table = split_scores(study, test, lens.clustered, lens.domain.scale.skill_measure, cutoff.day)
        sentences += told
        tables.append(table)
    elif sentences:
        sentences.append(
            "The run built its base from nothing, which has read of no date."
            if cutoff.from_nothing
            else "The profile does not say until when the base has read (evaluate.cutoff): scores are not split, and "
            "nothing here rules out that it has read of the test period."
        )
    if not sentences:
        return None
    return Chapter(name="contamination", title="Contamination", sentences=sentences, tables=tables)


def _recalled(asked: ProbeReplies, models: list[str], lens: Lens, cutoff: Cutoff) -> tuple[list[str], Table]:
    rows: list[Row] = []
    sentences: list[str] = []
    for model in models:
        for number, (variant, pairs) in enumerate(variants(asked.of("recalled", model)).items()):
            found = Recall.of(pairs, lens)
            if not number:
                sentences.append(_finding(model, variant, found))
            rows.append(Row(name=f"{model}: {variant}", cells=found.cells(), is_judged=model == asked.judged))
            rows += [
                Row(name=f"{model}: {variant}, {side}", cells=Recall.of(part, lens).cells())
                for side, part in _sides(pairs, cutoff.day).items()
                if part
            ]
    table = Table(
        title="Recall from memory alone",
        note="Replies are graded by their own date's truth, and by those of other dates of the same group. The finding "
        "above is each model's first line alone: of many lines, some may seem to know by chance.",
        headings=[
            Heading(title="Asked", form=".0f"),
            Heading(title="Readable", form=".1%"),
            Heading(title="Loss by other dates' truths", form=".4f"),
            Heading(title="Its own saves", form="+z.4f"),
        ],
        rows=rows,
    )
    return sentences, table


def _finding(model: str, variant: str, found: Recall) -> str:
    saved = words(found.saved, "+z.4f")
    if found.saved.value is None:
        return (
            f"Whether {model} recalls outcomes by their dates cannot be told: {found.saved.text} of its replies count."
        )
    if found.is_known:
        return (
            f"{model} knows outcomes by their dates, without any data: asked {variant}, the right truths save {saved} "
            "of the loss by other dates' truths. Its scores on dates that it may have read of prove nothing."
        )
    return (
        f"{model} shows no recall of outcomes by their dates: asked {variant}, the right truths save {saved} of the "
        "loss by other dates' truths."
    )


def _sides(pairs: Pairs, day: dt.date | None) -> dict[str, Pairs]:
    """The questions on both sides of the cut-off; none where it or their times are unknown."""
    if day is None:
        return {}
    tests: tuple[Callable[[dt.date], bool], ...] = (lambda date: date <= day, lambda date: date > day)
    return {
        side: [(probe, reply) for probe, reply in pairs if probe.at is not None and is_in(probe.at.date())]
        for side, is_in in zip(SIDES, tests, strict=True)
    }


def _wording(asked: ProbeReplies, lens: Lens) -> list[str]:
    """A sentence on answers that hang on the very words of a test question, as those of a model that saw it do."""
    pairs = asked.of("reworded")
    if not pairs:
        return []
    growth = Changes.of(pairs, asked.usual, lens).growth
    finding = (
        "it may have learned these questions by heart, or only this wording"
        if is_above(growth)
        else "its answers are not seen to hang on their very words"
    )
    return [f"In other words, the same questions cost {asked.judged} {words(growth, '+z.4f')} more: {finding}."]
