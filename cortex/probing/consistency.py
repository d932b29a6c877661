"""Consistency: answers to one question over repeated samples, and over its rewordings."""

from itertools import combinations
from statistics import stdev

from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.probing.changes import CHANGE_HEADINGS, Changes
from cortex.probing.clustered import SHARE, words
from cortex.probing.probe_replies import Lens, ProbeReplies, Stated, variants


def consistency(asked: ProbeReplies, lens: Lens, temperature: float) -> Chapter | None:
    """The chapter on consistency; None where nothing was asked for it."""
    sentences: list[str] = []
    tables: list[Table] = []
    if asked.repeated:
        told, table = _repeats(asked, lens, temperature)
        sentences += told
        tables.append(table)
    if reworded := variants(asked.of("reworded")):
        found = {variant: Changes.of(pairs, asked.usual, lens) for variant, pairs in reworded.items()}
        sentences += [_reworded(variant, changes) for variant, changes in found.items()]
        tables.append(
            Table(
                title="The same questions in other words",
                note="Each answer is compared with the same model's answer to the question as it was.",
                headings=list(CHANGE_HEADINGS),
                rows=[Row(name=variant, cells=changes.cells()) for variant, changes in found.items()],
            )
        )
    elif sentences:
        sentences.append("The domain has no other wordings of its questions, or none were asked for.")
    if not sentences:
        return None
    return Chapter(name="consistency", title="Consistency", sentences=sentences, tables=tables)


def _repeats(asked: ProbeReplies, lens: Lens, temperature: float) -> tuple[list[str], Table]:
    ids: list[str] = []
    readable: list[float] = []
    spread_ids: list[str] = []
    spreads: list[float] = []
    flip_ids: list[str] = []
    flips: list[float] = []
    for example, replies in asked.repeated:
        stated = [lens.stated(example, reply) for reply in replies]
        read = [one for one in stated if one.valid]
        ids.append(example.id)
        readable.append(len(read) / len(stated))
        if len(read) < 2:
            continue
        flip_ids.append(example.id)
        flips.append(flip_share(read))
        numbers = [one.number for one in read if one.number is not None]
        if len(numbers) == len(read):
            spread_ids.append(example.id)
            spreads.append(stdev(numbers))
    count = len(asked.repeated[0][1])
    spread, flipped = lens.clustered.mean(spread_ids, spreads), lens.clustered.mean(flip_ids, flips, SHARE)
    shown = lens.clustered.mean(ids, readable, SHARE)
    sides = "take opposite sides of one half" if lens.domain.stated else "are one right and one wrong"
    sentences = [
        f"Of two answers that {asked.judged} draws at temperature {temperature:g} to one question, "
        f"{words(flipped, '.1%')} {sides}."
    ]
    if spreads:
        sentences.append(
            f"The stated probability varies by {words(spread, '.3f')} (standard deviation) from answer to answer."
        )
    if len(flip_ids) < len(ids):
        sentences.append(
            f"{len(ids) - len(flip_ids)} of {len(ids)} questions are left out: fewer than two answers can be read."
        )
    table = Table(
        title=f"{count} answers to each of {len(ids)} questions",
        headings=[
            Heading(title="Readable", form=".1%"),
            Heading(title="Pairs that disagree", form=".1%"),
            Heading(title="Spread of the probability", form=".3f"),
        ],
        rows=[Row(name=asked.judged, cells=[shown, flipped, spread if spreads else Cell(text="states none")])],
    )
    return sentences, table


def flip_share(stated: list[Stated]) -> float:
    """The share of pairs of two or more answers that are on opposite sides."""
    pairs = list(combinations([one.side for one in stated], 2))
    return sum(first * second < 0 for first, second in pairs) / len(pairs)


def _reworded(variant: str, changes: "Changes") -> str:
    return (
        f"Asked with {variant}, it takes the other side in {words(changes.flips, '.1%')} of the answers, and its loss "
        f"grows by {words(changes.growth, '.4f')}."
    )
