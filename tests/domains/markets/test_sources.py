import datetime as dt
import importlib.util
from pathlib import Path

import pytest
from pydantic import SecretStr

from cortex.domains.markets.config import DataConfig, FilesConfig, FlipsideConfig, SimulatorConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.flipside import FlipsideSource
from cortex.domains.markets.simulator import Simulator
from cortex.domains.markets.sources import open_source
from cortex.errors import ConfigError
from cortex.settings import Settings


def test_each_kind_opens_its_source():
    data = DataConfig(source=SimulatorConfig(chains=2), horizon_days=3, onchain_lag_days=2, window_days=30)
    assert open_source(data, seed=7) == Simulator(SimulatorConfig(chains=2), 3, 2, 30, 7)
    files = FilesConfig.model_validate({"paths": "a.csv"})
    assert open_source(DataConfig(source=files), seed=0) == FilesSource(files)
    flipside = open_source(
        DataConfig(source=FlipsideConfig()), seed=0, settings=Settings(flipside_api_key=SecretStr("key"))
    )
    assert isinstance(flipside, FlipsideSource)
    assert "key" not in str(flipside.describe()) and flipside.describe()["chains"] == ["near"]


def test_flipside_without_a_key_is_refused():
    with pytest.raises(ConfigError, match="set CORTEX_FLIPSIDE_API_KEY") as error:
        open_source(DataConfig(source=FlipsideConfig()), seed=0, settings=Settings(flipside_api_key=None))
    assert error.value.exit_code == 78


@pytest.mark.skipif(importlib.util.find_spec("flipside") is not None, reason="the SDK is installed here")
def test_flipside_without_its_sdk_says_where_it_is_installed(tmp_path: Path):
    with pytest.raises(ConfigError, match="data image"):
        FlipsideSource(FlipsideConfig(), SecretStr("key"), tmp_path, dt.date(2024, 1, 1)).load()
