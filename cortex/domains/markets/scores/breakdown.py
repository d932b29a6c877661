"""Skill of the judged model by symbol and by regime, corrected for the number of groups looked at."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.measures import SCALE
from cortex.domains.markets.regime_names import STRATA
from cortex.domains.markets.regimes import regime
from cortex.domains.markets.scores.paired import skill_cell
from cortex.evaluation.bootstrap import LEVEL
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.measure import REFERENCE_LOSS
from cortex.evaluation.study import Study
from cortex.evaluation.verdict import MINIMUM_CLUSTERS

ROWS = 20
"""Rows of the table of symbols."""

HEADINGS = [
    Heading(title="Examples", form=",.0f"),
    Heading(title=SCALE.skill, form="+z.3f"),
    Heading(title="p", form=".3f"),
    Heading(title="p, corrected", form=".3f"),
]


@dataclass(frozen=True, eq=False)
class Part:
    """Some of the N test examples."""

    name: str
    member: Bools
    p: float | None
    """Two-sided p value of no difference from the reference; None where there are too few decision dates."""


def breakdown_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """Skill by symbol and by regime; p values are Holm's, over all groups of both."""
    symbols = [_part(study, name, member) for name, member in _symbols(test)]
    regimes = [_part(study, name, member) for name, member in _regimes(test)]
    corrected = _holm([*symbols, *regimes])
    shown = sorted(symbols, key=lambda part: 2.0 if part.p is None else part.p)[:ROWS]
    note = (
        f"Against the base rate. The {len(corrected)} p values of both tables are corrected together, after Holm "
        "(1979), “A simple sequentially rejective multiple test procedure”; each is Student's, of the "
        "bootstrap's standard error over blocks of decision dates."
    )
    some = f" These {ROWS} of {len(symbols)} symbols have the smallest." if len(symbols) > ROWS else ""
    return Chapter(
        name="breakdown",
        title="Skill by symbol and regime",
        sentences=[_words(study, [*symbols, *regimes], corrected)],
        tables=[
            Table(title=title, note=text, headings=HEADINGS, rows=[_row(study, part, corrected) for part in parts])
            for title, text, parts in (("By symbol", note + some, shown), ("By regime", "", regimes))
        ],
    )


def _symbols(test: pl.DataFrame) -> Iterator[tuple[str, Bools]]:
    for symbol in test["symbol"].unique().sort().to_list():
        yield symbol, (test["symbol"] == symbol).to_numpy()


def _regimes(test: pl.DataFrame) -> Iterator[tuple[str, Bools]]:
    for division, names in STRATA.items():
        found = test.select(regime(division)).to_series()
        yield from ((f"{division}: {name}", (found == name).to_numpy()) for name in names)


def _part(study: Study, name: str, member: Bools) -> Part:
    clusters = len(np.unique(study.clusters.of[member]))
    return Part(name, member, p_value(study, _advantage(study), member) if clusters >= MINIMUM_CLUSTERS else None)


def _advantage(study: Study) -> Floats:
    grades = study.contenders[study.judged]
    return grades.values(REFERENCE_LOSS) - grades.loss


def p_value(study: Study, advantage: Floats, member: Bools) -> float | None:
    """The two-sided p value that the members' mean advantage (of N) is 0; None where it never varies."""
    drawn, inside = study.resamples, member.astype(np.float64)
    sizes = drawn.means(inside)
    if not sizes.all():
        return None
    error = float((drawn.means(inside * advantage) / sizes).std(ddof=1))
    blocks = drawn.counts.shape[1] / drawn.block_length
    return float(2 * student.sf(abs(advantage[member].mean()) / error, df=blocks - 1)) if error > 0 else None


def _holm(parts: list[Part]) -> dict[str, float]:
    """Corrected p values by the name of the part."""
    tested = {part.name: part.p for part in parts if part.p is not None}
    if not tested:
        return {}
    values = np.asarray(multipletests(list(tested.values()), method="holm")[1])
    return dict(zip(tested, values.tolist(), strict=True))


def _row(study: Study, part: Part, corrected: dict[str, float]) -> Row:
    grades = study.contenders[study.judged]
    few = Cell(text="too few dates")
    skill = skill_cell(study, grades.loss, grades.values(REFERENCE_LOSS), part.member.astype(np.float64))
    known = part.p is not None
    cells = [
        Cell(value=float(part.member.sum())),
        skill if known else few,
        Cell(value=part.p) if known else Cell(),
        Cell(value=corrected[part.name]) if known else Cell(),
    ]
    return Row(name=part.name, cells=cells)


def _words(study: Study, parts: list[Part], corrected: dict[str, float]) -> str:
    if not corrected:
        return f"No symbol and no regime has the {MINIMUM_CLUSTERS} decision dates from which skill could be told."
    advantage = _advantage(study)
    members = {part.name: part.member for part in parts}
    differing = [name for name, p in corrected.items() if p < 1 - LEVEL]
    better = [name for name in differing if advantage[members[name]].mean() > 0]
    worse = [name for name in differing if name not in better]
    looked = f"Of {len(corrected)} groups looked at, corrected for their number,"
    if not differing:
        return f"{looked} none shows that {study.judged} is better or worse than the base rate there."
    found = [f"{len(names)} {word} ({_some(names)})" for word, names in (("better", better), ("worse", worse)) if names]
    return f"{looked} {study.judged} is shown to be, against the base rate: in {', in '.join(found)}."


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
