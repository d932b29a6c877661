"""Markets in which it is planted where a model fails, for the tests of gates."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case, Market
from cortex.domains.markets.certainty.gate_bench import Bench
from cortex.domains.markets.certainty.walk_forward import walk
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.study import Study
from tests.evaluation.simulation import make_clusters

DAY = 86_400_000_000
SYMBOLS = 6
SIZE = 0.02
"""Usual size of a move."""


class Draw:
    """Draws of one seed: N forecasts of some dates, in the order of the dates."""

    def __init__(self, seed: int, dates: int = 300) -> None:
        self.rng, self.dates, self.n = np.random.default_rng(seed), dates, dates * SYMBOLS
        self.date = np.repeat(np.arange(dates), SYMBOLS)
        self.late = self.date >= 0.5 * dates

    def sides(self) -> Floats:
        return self.rng.choice([-1.0, 1.0], self.n)

    def coin(self, share: float = 0.5) -> Bools:
        return self.rng.random(self.n) < share

    def spells(self, dates: int = 20) -> Bools:
        """Spells of so many dates on average, as a switch for each forecast."""
        return (np.cumsum(self.rng.random(self.dates) < 1 / dates) % 2 == 1)[self.date]

    def outcome(self, p_up: Floats, scale: Floats | float = 1.0) -> Floats:
        """Returns that rise with these probabilities."""
        sign = np.where(self.rng.random(self.n) < p_up, 1.0, -1.0)
        return sign * np.abs(self.rng.normal(size=self.n)) * SIZE * scale


def make_market(
    draw: Draw,
    outcome: Floats,
    features: Mapping[str, Floats] | None = None,
    train: tuple[Mapping[str, Floats], Floats] | None = None,
) -> Market:
    """A market of these test outcomes; training features and outcomes are the test's own if not given."""
    columns = features or {"noise": draw.rng.normal(size=draw.n)}
    trained, returned = train or ({name: draw.rng.permutation(each) for name, each in columns.items()}, outcome)
    at = draw.date * DAY
    return Market(
        at,
        at + DAY,
        draw.date,
        np.tile(np.arange(SYMBOLS), draw.dates),
        outcome,
        np.column_stack(list(columns.values())),
        tuple(columns),
        at - draw.dates * DAY,
        returned,
        np.column_stack([trained[name] for name in columns]),
        1,
        0,
        walk(at, at + DAY),
    )


def make_cases(
    market: Market, p_up: Mapping[str, Floats], expected: Floats | None = None, width: Floats | float = 0.04
) -> dict[str, Case]:
    """Contenders by their probabilities, which all know one another."""
    came, rivals = (market.outcome > 0).astype(np.float64), dict[str, Case]()
    if expected is None:
        expected = np.zeros(len(came))
    for name, p in p_up.items():
        reference = np.full(len(p), 0.25)
        low, high = expected - width, expected + width
        valid = np.ones(len(p), dtype=np.bool_)
        rivals[name] = Case(name, market, p, expected, low, high, (p - came) ** 2, reference, valid, rivals)
    return rivals


def make_bench(market: Market, resamples: int = 300) -> Bench:
    clusters = make_clusters(int(market.date.max()) + 1, SYMBOLS, span=market.span)
    study = Study({}, (), "", clusters, Resamples.draw(clusters, resamples=resamples), 0)
    return Bench.of(study, market)


def broken(draw: Draw) -> dict[str, Case]:
    """A model whose directions turn wrong for good, beside a rival that goes on as before."""
    side, other = draw.sides(), draw.sides()
    true = 0.5 + 0.2 * np.where(draw.late, -side, side) + 0.15 * other
    return make_cases(make_market(draw, draw.outcome(true)), {"model": 0.5 + 0.2 * side, "rival": 0.5 + 0.15 * other})


def two_regimes(draw: Draw) -> dict[str, Case]:
    """A model that is right in calm spells and wrong in turbulent ones, which the feature `vol` shows."""
    turbulent, side = draw.spells(), draw.sides()
    features, trained = (
        {"vol": np.where(spell, 1.5, -1.5) + 0.3 * draw.rng.normal(size=draw.n)} for spell in (turbulent, draw.spells())
    )
    outcome = draw.outcome(0.5 + 0.25 * np.where(turbulent, -side, side))
    return make_cases(make_market(draw, outcome, features, (trained, outcome)), {"model": 0.5 + 0.25 * side})


def unclear(draw: Draw) -> dict[str, Case]:
    """Contenders that agree where there is something to know, and guess on their own where there is nothing."""
    clear, side = draw.coin(), draw.sides()
    outcome = draw.outcome(np.where(clear, 0.5 + 0.3 * side, 0.5))
    guesses = {name: 0.5 + 0.3 * np.where(clear, side, draw.sides()) for name in ("model", "b", "c", "d")}
    return make_cases(make_market(draw, outcome), guesses)


def unequal_strength(draw: Draw) -> dict[str, Case]:
    """A model whose strong forecasts are right, and whose weak ones know nothing, beside two that are alike."""
    p = draw.rng.uniform(0.2, 0.8, draw.n)
    outcome = draw.outcome(np.where(np.abs(p - 0.5) > 0.12, p, 0.5))
    near = {name: np.clip(p + 0.02 * draw.rng.normal(size=draw.n), 0, 1) for name in ("b", "c")}
    return make_cases(make_market(draw, outcome), {"model": p, **near}, expected=(2 * p - 1) * 0.01)


def toxic_flow(draw: Draw) -> dict[str, Case]:
    """A model that fails where buyers and sellers are out of balance."""
    side, toxic = draw.sides(), draw.spells(40)
    features = {
        "taker_buy_volume": np.where(toxic, 3.0, 0.2) * draw.rng.normal(size=draw.n),
        "volume": np.zeros(draw.n),
    }
    outcome = draw.outcome(0.5 + 0.25 * np.where(toxic, -side, side))
    return make_cases(make_market(draw, outcome, features), {"model": 0.5 + 0.25 * side})


def informed_flow(draw: Draw) -> dict[str, Case]:
    """A market that goes where the flow goes, and a model that knows nothing of it."""
    flow = draw.rng.normal(size=draw.n)
    features = {"taker_buy_volume": flow, "volume": np.zeros(draw.n)}
    outcome = draw.outcome(0.5 + 0.2 * np.sign(flow))
    return make_cases(make_market(draw, outcome, features, (features, outcome)), {"model": 0.5 + 0.1 * draw.sides()})


def shifted_volatility(draw: Draw) -> dict[str, Case]:
    """Moves that double for good, and stated intervals that do not."""
    outcome = draw.outcome(np.full(draw.n, 0.5), np.where(draw.late, 2.5, 1.0))
    return make_cases(make_market(draw, outcome), {"model": 0.5 + 0.1 * draw.sides()}, width=1.645 * SIZE)


def known_volatility(draw: Draw) -> dict[str, Case]:
    """Moves whose size a feature tells, and stated intervals that are all alike."""
    size, before = draw.rng.normal(size=(2, draw.n))
    outcome, past = (draw.outcome(np.full(draw.n, 0.5), np.exp(0.8 * each)) for each in (size, before))
    train = ({"vol": np.exp(0.8 * before)}, past)
    return make_cases(
        make_market(draw, outcome, {"vol": np.exp(0.8 * size)}, train), {"model": 0.5 + 0.1 * draw.sides()}
    )


def overconfident(draw: Draw) -> dict[str, Case]:
    """Stated intervals of half the width that they need."""
    outcome = draw.outcome(np.full(draw.n, 0.5))
    return make_cases(make_market(draw, outcome), {"model": 0.5 + 0.1 * draw.sides()}, width=0.8 * SIZE)


def nothing(draw: Draw, skill: float = 0.0) -> dict[str, Case]:
    """Forecasts that are all equally good, in a market of clustered volatility whose intervals are stated right."""
    spread = np.exp(0.5 * draw.spells())
    chosen = {name: 0.5 + 0.1 * draw.sides() for name in ("model", "b", "c")}
    outcome = draw.outcome(0.5 + skill * np.sign(chosen["model"] - 0.5), spread)
    features = {
        "vol": spread + 0.1 * draw.rng.normal(size=draw.n),
        "mom7": draw.rng.normal(size=draw.n),
        "taker_buy_volume": draw.rng.normal(size=draw.n),
        "volume": draw.rng.normal(size=draw.n),
    }
    expected = 0.003 * draw.rng.normal(size=draw.n)
    return make_cases(make_market(draw, outcome, features), chosen, expected, 1.645 * SIZE * spread)


def nothing_overlapping(draw: Draw, horizon: int = 5) -> dict[str, Case]:
    """Forecasts that know nothing and hardly change, of returns over several dates that symbols have in common."""
    shape = (draw.dates + horizon, SYMBOLS)
    moves = 0.7 * (draw.rng.normal(size=(shape[0], 1)) + draw.rng.normal(size=shape))
    path = np.vstack([np.zeros((1, SYMBOLS)), moves.cumsum(axis=0)]) * SIZE
    outcome = (path[horizon:][: draw.dates] - path[: draw.dates]).ravel()
    drift = draw.rng.normal(size=(4, draw.dates, SYMBOLS)).cumsum(axis=1).reshape(4, -1)
    market = make_market(draw, outcome, {"vol": drift[3], "mom7": draw.rng.normal(size=draw.n)})
    known_at = market.at + horizon * DAY
    market = replace(market, known_at=known_at, span=horizon, steps=walk(market.at, known_at))
    chosen = {name: 0.5 + 0.1 * np.sign(side) for name, side in zip(("model", "b", "c"), drift[:3], strict=True)}
    return make_cases(market, chosen, width=1.645 * SIZE * np.sqrt(0.98 * horizon))


SITUATIONS: dict[str, Callable[[Draw], dict[str, Case]]] = {
    "conformal": overconfident,
    "adaptive_conformal": shifted_volatility,
    "quantiles": known_volatility,
    "one_direction": unequal_strength,
    "information": broken,
    "changepoint": broken,
    "online_changepoint": broken,
    "regime": two_regimes,
    "confidence_set": broken,
    "edge": broken,
    "epistemic": unclear,
    "aleatoric": unequal_strength,
    "kelly": unequal_strength,
    "cost": unequal_strength,
    "toxicity": toxic_flow,
    "adverse_selection": informed_flow,
    "factors": informed_flow,
}
"""By the name of a gate, draws of a market in which it has something to find; the model is called `model`."""
