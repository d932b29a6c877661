"""The source that a profile names."""

import datetime as dt

from loguru import logger

from cortex.domains.markets.config import (
    DataConfig,
    DuneConfig,
    EcbConfig,
    FilesConfig,
    FlipsideConfig,
    PublicConfig,
    SimulatorConfig,
)
from cortex.domains.markets.dune import DuneSource
from cortex.domains.markets.ecb import EcbSource
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.flipside import FlipsideSource
from cortex.domains.markets.live.kept import Kept
from cortex.domains.markets.public import PublicSource
from cortex.domains.markets.simulator import Simulator
from cortex.domains.markets.source import Source
from cortex.errors import ConfigError
from cortex.settings import Settings


def open_source(
    data: DataConfig,
    *,
    seed: int,
    settings: Settings | None = None,
    today: dt.date | None = None,
    fresh: bool = False,
) -> Source:
    """The source of `data`. `seed` is the simulator's; `today`, in UTC, bounds what live sources are asked for.

    `fresh` asks anew for what is kept. Keys and the folder of pulls come from the settings, those of the environment if
    none are given.

    Raises ConfigError where a service is asked for without its key.
    """
    source = data.source
    if isinstance(source, SimulatorConfig | FilesConfig):
        return _made_here(source, data, seed)
    if isinstance(source, EcbConfig):
        return EcbSource(source, data.onchain_lag_days, data.window, seed)
    settings, today = settings or Settings(), today or dt.datetime.now(dt.UTC).date()
    if isinstance(source, DuneConfig):
        key = settings.dune_api_key
        if key is None or not key.get_secret_value():
            raise ConfigError("the dune source needs an API key: set CORTEX_DUNE_API_KEY, or take kind: public")
        return DuneSource(source, key, settings.pulls, today, fresh)
    if isinstance(source, PublicConfig):
        return _public(source, settings, today, fresh)
    return _flipside(source, data, seed, settings, today, fresh)


def _made_here(source: SimulatorConfig | FilesConfig, data: DataConfig, seed: int) -> Source:
    if isinstance(source, SimulatorConfig):
        return Simulator(source, data.horizon.count, data.onchain_lag_days, data.window, seed)
    return FilesSource(source)


def _flipside(
    source: FlipsideConfig, data: DataConfig, seed: int, settings: Settings, today: dt.date, fresh: bool
) -> Source:
    if source.warehouse is not None:
        filling = _made_here(source.warehouse, data, seed)
        return FlipsideSource(source, None, settings.pulls, today, filling, fresh)
    key = settings.flipside_api_key
    if key is None or not key.get_secret_value():
        if source.without_key is not None:
            chosen = source.without_key.exchange
            logger.warning(f"CORTEX_FLIPSIDE_API_KEY is not set: the data come from {chosen} and DefiLlama")
            return _public(source.without_key, settings, today, fresh)
        raise ConfigError("the flipside source needs an API key: set CORTEX_FLIPSIDE_API_KEY")
    return FlipsideSource(source, key, settings.pulls, today, fresh=fresh)


def _public(source: PublicConfig, settings: Settings, today: dt.date, fresh: bool) -> Source:
    return PublicSource(source, Kept(settings.pulls / "public", fresh), today)
