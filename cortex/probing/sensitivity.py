"""Sensitivity: what an answer owes to each feature, and whether its reasoning follows (Breiman 2001, "Random forests").

One feature's values are exchanged among the questions, and all else is left as it is. What the loss gains is the
feature's permutation importance for the model.
"""

from cortex.domains.probe import Probe
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.probing.changes import CHANGE_HEADINGS, Changes
from cortex.probing.clustered import SHARE, is_above, words
from cortex.probing.probe_replies import Lens, ProbeReplies, variants

_FAR = 0.02
"""A stated probability that moves further than this has moved: models write two decimals."""

Found = list[tuple[str, float]]
"""An example's id, and 1 where something is so of its answer, or 0."""


def sensitivity(asked: ProbeReplies, lens: Lens) -> Chapter | None:
    """The chapter on sensitivity; None where no feature was permuted."""
    found = variants(asked.of("permuted"))
    if not found:
        return None
    rows: list[Row] = []
    helpful: list[str] = []
    harmful: list[str] = []
    old: Found = []
    silent: Found = []
    for name, pairs in found.items():
        changes = Changes.of(pairs, asked.usual, lens)
        named, stale, mute = _reasoning(pairs, asked, lens)
        old += stale
        silent += mute
        helpful += [name] if is_above(changes.growth) else []
        harmful += [name] if changes.growth.interval is not None and changes.growth.interval.high < 0 else []
        cells = [*changes.cells(), _share(lens, named), _share(lens, stale), _share(lens, mute)]
        rows.append(Row(name=name, cells=cells))
    table = Table(
        title="One feature's values exchanged among the questions",
        note="Intervals are of 95%, each for one feature alone: of twenty features that do nothing, one may well seem "
        "to do something. Values that are exchanged for equal ones change nothing, and count.",
        headings=[
            *CHANGE_HEADINGS,
            Heading(title="Names the new value", form=".1%"),
            Heading(title="Cites the old value", form=".1%"),
            Heading(title="Moves and does not name it", form=".1%"),
        ],
        rows=rows,
    )
    return Chapter(
        name="sensitivity",
        title="Sensitivity",
        sentences=_sentences(lens, helpful, harmful, len(found), old, silent),
        tables=[table],
    )


def _reasoning(pairs: list[tuple[Probe, str]], asked: ProbeReplies, lens: Lens) -> tuple[Found, Found, Found]:
    """Of answers with a new value: naming it, citing the old one; and, of those that move, not naming it."""
    named: Found = []
    stale: Found = []
    mute: Found = []
    for probe, reply in pairs:
        usual = asked.usual[probe.example.id]
        reaction = probe.react(reply, usual)
        name = probe.example.id
        if reaction.names_new is not None:
            named.append((name, float(reaction.names_new)))
        if reaction.cites_old is not None:
            stale.append((name, float(reaction.cites_old)))
        before, after = lens.stated(probe.example, usual).number, lens.stated(probe.asked, reply).number
        if reaction.names_new is not None and before is not None and after is not None and abs(after - before) > _FAR:
            mute.append((name, float(not reaction.names_new)))
    return named, stale, mute


def _share(lens: Lens, found: Found) -> Cell:
    return lens.clustered.mean([name for name, _ in found], [value for _, value in found], SHARE)


def _sentences(
    lens: Lens,
    helpful: list[str],
    harmful: list[str],
    count: int,
    old: Found,
    silent: Found,
) -> list[str]:
    sentences = [
        f"Of {count} features, its answers lose by the exchange of {_listed(helpful)}."
        if helpful
        else f"Of {count} features, there is none whose exchange is seen to make its answers worse."
    ]
    if harmful:
        sentences.append(f"They gain by the exchange of {_listed(harmful)}: it reads these the wrong way.")
    if old:
        sentences.append(f"Its reasoning cites a value that is no longer there in {words(_share(lens, old), '.1%')}.")
    if silent:
        sentences.append(
            f"Of the answers whose probability moves, {words(_share(lens, silent), '.1%')} do not name the value that "
            "moved it: their reasoning leaves out a cause."
        )
    return sentences


def _listed(names: list[str]) -> str:
    return ", ".join(names)
