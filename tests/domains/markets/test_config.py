from pathlib import Path

import pytest
from pydantic import ValidationError

from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.spans import Span


def test_defaults_keep_outcomes_apart():
    config = DataConfig(horizon_days=7)
    assert (config.step, config.embargo) == (Span(7, "days"), Span(7, "days"))
    assert DataConfig(horizon_days=7, embargo_days=0, every_days=1).embargo == Span(0, "days")


def test_the_source_is_chosen_by_its_kind():
    config = DataConfig.model_validate({"source": {"kind": "files", "paths": "prices.csv"}})
    assert config.source == FilesConfig(paths=(Path("prices.csv"),))
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon_days": 0},
        {"horizont_days": 1},
        {"source": {"kind": "simulater"}},
        {"source": {"kind": "simulator", "signal": {"volume": 1.0}}},
        {"source": {"kind": "simulator", "chains": 37}},
        {"source": {"kind": "files", "paths": []}},
        {"train_fraction": 0.8, "validation_fraction": 0.2},
        {"onchain_lag_days": -1},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        DataConfig.model_validate(wrong)
