"""A made world that tools look things up in: prices, facts in a corpus, and a table of boxes."""

import random
from dataclasses import dataclass
from functools import cache, cached_property

from cortex.domains.tools.price_table import PriceTable, day_names
from cortex.domains.tools.sql_sandbox import SqlSandbox
from cortex.domains.tools.text_search import TextSearch
from cortex.domains.tools.tool_calls import Style


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SYMBOLS = _words("near atom link flow mina avax algo dash zeta luna kava iota")
NAMES = _words(
    "tom ana leo mia sam eva max lia ben ida jon zoe kai amy rob una tim joy dan fay "
    "gus ivy hal may ned pia ray sue vic wen abe bea cal dot eli flo gil hue ike jan"
)
DEEDS = _words("lives works sails trades rests studies")
TOWNS = _words(
    "arlon brest delft essen genoa haifa izmir kyoto lagos malmo nancy oslo perth quito riga seoul tunis "
    "utica vigo wuhan xian york zadar bonn cadiz derby evora faro gent hilo"
)
COLORS = _words("red blue green white black brown pink gray gold cyan")
SHAPES = _words("cube ball cone ring disc star")
SIZES = range(1, 10)
BOXES = 4000


@dataclass(frozen=True)
class World:
    """All that tools know; equal seeds give equal worlds."""

    prices: PriceTable
    towns: dict[tuple[str, str], str]
    """The town in which a name does a deed."""
    boxes: tuple[tuple[str, int, str], ...]
    """Color, size and shape of each box."""

    @cached_property
    def search(self) -> TextSearch:
        return TextSearch([f"{town} is where {name} {deed}" for (name, deed), town in self.towns.items()])

    @cached_property
    def base(self) -> SqlSandbox:
        return SqlSandbox([("boxes", ("color", "size", "shape"), self.boxes)])


@cache
def make_world(seed: int, style: Style) -> World:
    """The world of a seed. In the compact style days are numbers below 100, and prices whole numbers of two digits."""
    rng = random.Random(f"tools world {seed}")
    compact = style == "compact"
    days = day_names(100 if compact else 366, as_dates=not compact)
    trading = tuple(at % 7 < 5 and rng.random() > 0.03 for at in range(len(days)))
    closes = {symbol: _closes(rng, len(days), whole=compact) for symbol in SYMBOLS}
    towns = {(name, deed): rng.choice(TOWNS) for name in NAMES for deed in DEEDS}
    boxes = tuple((rng.choice(COLORS), rng.choice(SIZES), rng.choice(SHAPES)) for _ in range(BOXES))
    return World(PriceTable(days, trading, closes), towns, boxes)


def _closes(rng: random.Random, count: int, *, whole: bool) -> tuple[str, ...]:
    if whole:  # a walk of whole numbers would let a model guess a day from its neighbours
        return tuple(str(rng.randint(10, 99)) for _ in range(count))
    price, told = rng.uniform(1, 300), list[str]()
    for _ in range(count):
        price *= 1 + rng.gauss(0, 0.04)
        told.append(f"{price:.4g}")
    return tuple(told)
