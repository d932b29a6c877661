"""From a market's history to examples, and an account of what was made of it."""

from functools import partial
from typing import TYPE_CHECKING

from cortex.domains.domain import Built
from cortex.domains.markets.config import FilesConfig, SimulatorConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import build_features
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.gaps import name_gaps
from cortex.domains.markets.protocol import render_prompts
from cortex.domains.markets.source import Source
from cortex.domains.markets.sources import open_source
from cortex.settings import Settings

if TYPE_CHECKING:
    from cortex.domains.markets.domain import Markets


def build(markets: "Markets", seed: int, settings: Settings) -> Built:
    """Build the examples of a market.

    Raises:
        ConfigError: the source needs a key that is not set.
        DataError: the source's tables cannot be used, or are too short for what is asked of them.
    """
    return build_from(open_source(markets, seed=seed, flipside_api_key=settings.flipside_api_key), markets)


def build_from(source: Source, markets: "Markets") -> Built:
    """Build the examples of a source."""
    tables = source.load()
    frame, features = build_features(tables, markets)
    examples = build_examples(tables, markets, partial(render_prompts, style=markets.style))
    account = None if tables.account is None else tables.account.with_notes(name_gaps(frame, markets))
    symbols = examples["symbol"].n_unique()
    return Built(
        examples=examples,
        source=source.describe(),
        simulated=isinstance(markets.source, SimulatorConfig),
        summary=f"{symbols} symbols, horizon {markets.horizon_days} days",
        further={
            "horizon_days": markets.horizon_days,
            "style": markets.style,
            "symbols": symbols,
            "features": [{"name": item.name, "label": item.label, "unit": item.unit} for item in features],
            "account": None if account is None else account.to_json(),
        },
    )


def check_files(markets: "Markets") -> None:
    """Find what is wrong with a user's files.

    Raises:
        DataError: they cannot be used.
    """
    assert isinstance(markets.source, FilesConfig)
    build_from(FilesSource(markets.source), markets)
