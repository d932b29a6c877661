"""Tables and sentences of the chapter on certainty."""

from collections.abc import Sequence

from cortex.domains.markets.certainty.error_product import JointError
from cortex.domains.markets.certainty.gate_findings import GateFinding
from cortex.evaluation.chapter import Cell, Heading, Row, Table
from cortex.evaluation.record import label

_HEADINGS = (
    ("Kept", ".0%"),
    ("Brier score, kept", ".4f"),
    ("By chance", ".4f"),
    ("Saved", "+z.4f"),
    ("Of it, skill", "+z.4f"),
    ("p, after Holm", ".3f"),
)
_INTERVAL_HEADINGS = (
    ("Coverage", ".1%"),
    ("Interval score", ".2%"),
    ("Stated", ".2%"),
    ("Saved", "+z.2%"),
    ("p, after Holm", ".3f"),
)


def gate_table(found: Sequence[GateFinding], contender: str, *, is_judged: bool) -> Table:
    """The gates that keep a forecast or abstain, of one contender."""
    return Table(
        title=f"Gates of {label(contender)}",
        note="Saved: the mean Brier score of all forecasts, which is what random abstention expects, less that of the "
        "kept ones. Skill: the part that is not due to the kept questions being easier for the base rate, too.",
        headings=[*(Heading(title=title, form=form) for title, form in _HEADINGS), Heading(title="Found")],
        rows=[_keeping_row(each, is_judged) for each in found if each.contender == contender and not each.replaces],
    )


def interval_table(found: Sequence[GateFinding], contender: str, *, is_judged: bool) -> Table:
    """The gates that replace intervals, of one contender."""
    return Table(
        title=f"Intervals of {label(contender)}",
        note="The interval score of 90% intervals, width and misses together, of the replaced intervals and of the "
        "stated ones; less is better.",
        headings=[*(Heading(title=title, form=form) for title, form in _INTERVAL_HEADINGS), Heading(title="Found")],
        rows=[_replacing_row(each, is_judged) for each in found if each.contender == contender and each.replaces],
    )


def product_table(joint: JointError) -> Table:
    """The claimed and the measured joint error."""
    pairs = (
        ("All are wrong", joint.product, joint.all_wrong, joint.all_wrong_interval),
        ("Wrong where all agree", joint.claimed, joint.measured, joint.measured_interval),
    )
    alone = [
        Row(name=label(name), cells=[Cell(text="error rate alone"), Cell(value=error)])
        for name, error in joint.errors.items()
    ]
    joined = [
        Row(name=name, cells=[Cell(value=claimed), Cell(value=measured, interval=interval)])
        for name, claimed, measured, interval in pairs
    ]
    return Table(
        title="Multiplied error rates",
        note=f"Errors correlate by {joint.correlation:.2f}: {len(joint.errors)} contenders are worth "
        f"{joint.independent:.1f} independent ones.",
        headings=[Heading(title="If independent", form=".3%"), Heading(title="Measured", form=".3%")],
        rows=[*alone, *joined],
    )


def product_sentence(joint: JointError) -> str:
    """The claim and the measurement in words."""
    count, apart = len(joint.errors), joint.all_wrong_interval
    refuted = "is refuted: errors are not independent" if joint.is_refuted else "is not refuted here"
    return (
        f"Certainty by multiplied error rates {refuted}. All {count} contenders are wrong about the direction in "
        f"{joint.all_wrong:.2%} of the forecasts (95% interval {apart.low:.2%} to {apart.high:.2%}), and the product "
        f"of their error rates claims {joint.product:.3%}. Where all agree, they are wrong in {joint.measured:.1%} "
        f"(95% interval {joint.measured_interval.low:.1%} to {joint.measured_interval.high:.1%}), and the product "
        f"claims {joint.claimed:.2%}."
    )


def gate_sentence(found: Sequence[GateFinding], contender: str) -> str:
    """The gates that buy something, of those of one contender."""
    own = [each for each in found if each.contender == contender and not each.replaces]
    told = [each for each in own if each.saving is not None]
    bought = [
        f"{each.title} (keeps {each.saving.kept:.0%}, saves {each.saving.saved:.4f} of {each.saving.without:.4f}"
        f"{', on questions that are easier for the base rate, too' if each.saving.against_reference <= 0 else ''})"
        for each in told
        if each.buys and each.saving is not None
    ]
    name, silent = label(contender), f"; nothing can be told of {len(own) - len(told)}" if len(own) > len(told) else ""
    if not told:
        return f"Nothing can be told of any of the {len(own)} gates of {name}."
    if not bought:
        return f"None of the {len(told)} gates that could be judged is shown to save any error of {name}{silent}."
    return f"Of {len(told)} gates, {len(bought)} save error of {name} beyond chance: {', '.join(bought)}{silent}."


def interval_sentence(found: Sequence[GateFinding], contender: str) -> str:
    """The intervals that are better than the stated ones, of those of one contender."""
    better = [
        f"{each.title} (coverage {each.saving.kept:.0%}, {each.saving.saved / each.saving.without:.0%} less interval "
        "score)"
        for each in found
        if each.contender == contender and each.replaces and each.buys and each.saving is not None
    ]
    if not better:
        return f"No other interval is shown to be better than those that {label(contender)} states."
    return f"Better than the intervals that {label(contender)} states: {', '.join(better)}."


def _keeping_row(each: GateFinding, is_judged: bool) -> Row:
    saving = each.saving
    if saving is None:
        return _refused(each, len(_HEADINGS), is_judged)
    values = (saving.kept, saving.error, saving.without, saving.saved, saving.against_reference, each.adjusted)
    cells = [Cell(value=value) for value in values]
    cells[3] = Cell(value=saving.saved, interval=saving.interval)
    return Row(name=each.title, cells=[*cells, Cell(text=_words(each))], is_judged=is_judged and each.buys)


def _replacing_row(each: GateFinding, is_judged: bool) -> Row:
    saving = each.saving
    if saving is None:
        return _refused(each, len(_INTERVAL_HEADINGS), is_judged)
    cells = [Cell(value=value) for value in (saving.kept, saving.error, saving.without, saving.saved, each.adjusted)]
    cells[3] = Cell(value=saving.saved, interval=saving.interval)
    return Row(name=each.title, cells=[*cells, Cell(text=_words(each))], is_judged=is_judged and each.buys)


def _refused(each: GateFinding, columns: int, is_judged: bool) -> Row:
    return Row(name=each.title, cells=[*(Cell() for _ in range(columns)), Cell(text=_words(each))])


def _words(each: GateFinding) -> str:
    """The judgement in a few words, and the module's own measurement."""
    if each.refusal:
        judged = f"not judged: {each.refusal}"
    else:
        judged = "saves error" if each.buys else "buys nothing that is shown"
    return "; ".join(filter(None, (judged, each.measured)))
