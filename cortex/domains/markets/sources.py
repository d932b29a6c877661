"""The source that a profile names."""

from pydantic import SecretStr

from cortex.domains.markets.config import DataConfig, EcbConfig, FilesConfig, SimulatorConfig
from cortex.domains.markets.ecb import EcbSource
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.flipside import FlipsideSource
from cortex.domains.markets.simulator import Simulator
from cortex.domains.markets.source import Source
from cortex.errors import ConfigError


def open_source(data: DataConfig, *, seed: int, flipside_api_key: SecretStr | None = None) -> Source:
    """The source of `data`. `seed` is the simulator's; the key is Flipside's.

    Raises ConfigError where Flipside is asked for without a key.
    """
    source = data.source
    if isinstance(source, SimulatorConfig):
        return Simulator(source, data.horizon.count, data.onchain_lag_days, data.window, seed)
    if isinstance(source, FilesConfig):
        return FilesSource(source)
    if isinstance(source, EcbConfig):
        return EcbSource(source, data.onchain_lag_days, data.window, seed)
    if flipside_api_key is None or not flipside_api_key.get_secret_value():
        raise ConfigError("the flipside source needs an API key: set CORTEX_FLIPSIDE_API_KEY")
    return FlipsideSource(source, flipside_api_key)
