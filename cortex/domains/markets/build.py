"""Building of a market's examples, and of their description, from its history."""

from functools import partial

from cortex.domains.domain import Built
from cortex.domains.markets.config import DataConfig, FilesConfig, SimulatorConfig, Style
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import build_features
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.gaps import name_gaps
from cortex.domains.markets.protocol import render_prompts
from cortex.domains.markets.source import Source
from cortex.domains.markets.sources import open_source
from cortex.settings import Settings


def build(config: DataConfig, style: Style, seed: int, settings: Settings) -> Built:
    """Build the examples of a market.

    Raises:
        ConfigError: the source needs a key that is not set.
        DataError: the source's tables cannot be used, or are too short for what is asked of them.
    """
    source = open_source(config, seed=seed, flipside_api_key=settings.flipside_api_key)
    return build_from(source, config, style)


def build_from(source: Source, config: DataConfig, style: Style) -> Built:
    """Build the examples of a source."""
    tables = source.load()
    frame, features = build_features(tables, config)
    examples = build_examples(tables, config, partial(render_prompts, style=style))
    account = None if tables.account is None else tables.account.with_notes(name_gaps(frame, config))
    symbols = examples["symbol"].n_unique()
    return Built(
        examples=examples,
        source=source.describe(),
        simulated=isinstance(config.source, SimulatorConfig),
        summary=f"{symbols} symbols, horizon {config.horizon_days} days",
        further={
            "horizon_days": config.horizon_days,
            "style": style,
            "symbols": symbols,
            "features": [{"name": item.name, "label": item.label, "unit": item.unit} for item in features],
            "account": None if account is None else account.to_json(),
        },
    )


def check_files(config: DataConfig, style: Style) -> None:
    """Check that a user's files give examples.

    Raises:
        DataError: they cannot be used.
    """
    assert isinstance(config.source, FilesConfig)
    build_from(FilesSource(config.source), config, style)
