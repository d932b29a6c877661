"""A break-even as a table for the terminal, and as a plot."""

from decimal import Decimal

from matplotlib.figure import Figure
from rich.table import Table

from cortex.benching.breakeven import BreakEven, Comparison
from cortex.console import Console
from cortex.evaluation.svg import series, standalone, themed, to_svg

NEVER = "never"


def print_break_even(found: BreakEven, console: Console) -> None:
    """Print the ways and their prices, the comparison at the volume, and the sensitivity over monthly tokens."""
    volume = found.volume
    console.print(
        f"training: {dollars(found.training)}; {count(volume.tokens)} tokens a month: {count(volume.requests)} "
        f"requests with {count(volume.tokens_in)} tokens in and {count(volume.tokens_out)} out",
        soft_wrap=True,
    )
    console.print(f"trained model: {found.own.basis}", soft_wrap=True)
    for way in found.others:
        console.print(f"{way.name}: {way.basis}", soft_wrap=True)
    console.print()
    console.print(_table(found.asked))
    console.print("\nover monthly tokens:")
    console.print(_table(found.sensitivity))


def _table(comparisons: tuple[Comparison, ...]) -> Table:
    table = Table("against", box=None, pad_edge=False)
    headings = ("tokens a month", "it, a month", "trained, a month", "saved a month", "breaks even", "saved in year 1")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for one in comparisons:
        amounts = (one.other, one.own, one.saving)
        table.add_row(
            one.name, count(one.monthly_tokens), *map(dollars, amounts), months(one.months), dollars(one.first_year)
        )
    return table


def dollars(amount: Decimal) -> str:
    """An amount in cents, or with two digits that are not 0 where it is below one."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    places = 2 if size == 0 or size >= Decimal("0.01") else min(1 - size.adjusted(), 9)
    return f"{sign}${size:,.{places}f}"


def months(number: Decimal | None) -> str:
    """Months until the break-even, in words."""
    if number is None:
        return NEVER
    return f"{number:,.1f} months" if number < 1200 else f"{number / 12:,.0f} years"


def count(number: Decimal) -> str:
    """A count with the letter of its size."""
    for letter, power in (("T", 12), ("B", 9), ("M", 6), ("k", 3)):
        if number >= Decimal(10) ** power:
            return f"{float(number.scaleb(-power)):,.4g}{letter}"
    return f"{float(number):,.4g}"


def plot_break_even(found: BreakEven) -> str:
    """An SVG with the dollars of a month of every way, and the months to break even, over monthly tokens."""
    with themed():
        figure = Figure(layout="constrained", figsize=(10, 3.6))
        costs, times = figure.subplots(1, 2)
        names = [way.name for way in found.others]
        for index, name in enumerate(names):
            own = [one for one in found.sensitivity if one.name == name]
            tokens = [float(one.monthly_tokens) for one in own]
            if not index:
                costs.plot(tokens, [float(one.own) for one in own], color=series(0), label="trained model")
            costs.plot(tokens, [float(one.other) for one in own], color=series(index + 1), label=name)
            paid = [(float(one.monthly_tokens), float(one.months)) for one in own if one.months is not None]
            label = name if paid else f"{name}: {NEVER}"
            times.plot(
                [at for at, _ in paid],
                [after for _, after in paid],
                marker="o",
                markersize=3,
                color=series(index + 1),
                label=label,
            )
        for axes in (costs, times):
            axes.set(xscale="log", xlabel="tokens a month")
            axes.axvline(float(found.volume.tokens), color=series(5), linestyle=":", linewidth=1)
            axes.set_yscale("symlog" if axes is times else "log")
        costs.set(title="dollars a month")
        times.set(title="months to break even", ylim=(0, None))
        costs.legend(loc="upper left")
        times.legend(loc="upper right")
        return standalone(to_svg(figure, "Monthly cost and months to break even over monthly tokens"))
