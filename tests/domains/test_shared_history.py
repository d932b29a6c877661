"""Several horizons in one dataset: outcome windows and embargo follow the longest."""

import datetime as dt
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from cortex.domains.dataset import build_dataset, read_description, read_split
from cortex.domains.domain import Domain
from cortex.domains.mixture import read_described
from cortex.errors import ConfigError, DataError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile, read_section
from cortex.settings import Settings

ECB: dict[str, Any] = {
    "kind": "markets",
    "style": "compact",
    "source": {"kind": "ecb", "pairs": ["EUR/USD"], "start": "2012-01-01"},
}


@pytest.fixture(scope="module")
def horizons(tmp_path_factory: pytest.TempPathFactory) -> tuple[Domain, Path]:
    """A dataset of fixings 1, 5 and 30 ahead."""
    folder = tmp_path_factory.mktemp("horizons") / "dataset"
    domain = read_described({**ECB, "horizon_bars": [30, 1, 5], "every_bars": 1})
    build_dataset(domain, 0, Settings(), folder)
    return domain, folder


def rows_of(dataset: tuple[Domain, Path], split: str) -> dict[str, pl.DataFrame]:
    domain, folder = dataset
    return {name: domain.rows_of(name, read_split(folder, split)) for name in domain.parts()}


def test_a_list_of_horizons_is_a_domain_for_each(horizons: tuple[Domain, Path]) -> None:
    domain, _ = horizons
    assert list(domain.parts()) == ["markets-1b", "markets-5b", "markets-30b"]
    for rows, word in zip(rows_of(horizons, "train").values(), ("1b", "5b", "30b"), strict=True):
        assert all(f" {word} " in turns[-1]["content"] for turns in rows["messages"])


def test_no_outcome_of_any_horizon_reaches_into_a_later_split_of_another(horizons: tuple[Domain, Path]) -> None:
    tables = {split: rows_of(horizons, split) for split in ("train", "validation", "test")}
    longest = max(cast(dt.timedelta, (rows["outcome_time"] - rows["at"]).max()) for rows in tables["train"].values())
    assert longest >= dt.timedelta(days=40)
    for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        known = max(cast(dt.datetime, rows["outcome_time"].max()) for rows in tables[earlier].values())
        first = min(cast(dt.datetime, rows["at"].min()) for rows in tables[later].values())
        assert first >= known + longest


def test_horizons_built_apart_would_overlap() -> None:
    """Each alone keeps its own splits apart, and no more: the purge has something to do."""
    apart = [read_described({**ECB, "horizon_bars": bars, "every_bars": 1}) for bars in (1, 30)]
    short, long = (domain.build(0, Settings()).examples for domain in apart)
    known = cast(dt.datetime, long.filter(split="train")["outcome_time"].max())
    longest = cast(dt.timedelta, (long["outcome_time"] - long["at"]).max())
    assert cast(dt.datetime, short.filter(split="validation")["at"].min()) < known + longest


def test_the_description_counts_what_was_purged(horizons: tuple[Domain, Path]) -> None:
    domain, folder = horizons
    described = read_description(folder)["parts"]
    short = domain.parts()["markets-1b"].build(0, Settings()).examples
    for split in ("train", "validation", "test"):
        kept = described["markets-1b"]["splits"][split]["examples"]
        assert len(short.filter(split=split)) >= kept + described["markets-1b"]["purged"][split]
    assert sum(described["markets-1b"]["purged"].values()) > 20


def test_domains_of_other_histories_are_left_alone() -> None:
    other = {**ECB, "source": {**ECB["source"], "pairs": ["GBP/JPY"]}, "horizon_bars": 30}
    parts = [{"name": "a", "domain": {**ECB, "horizon_bars": 1}}, {"name": "b", "domain": other}]
    described = read_described({"kind": "mixture", "domains": parts}).build(0, Settings()).further["parts"]
    assert not any("purged" in part for part in described.values())


def test_a_horizon_that_leaves_nothing_is_refused() -> None:
    values = {**ECB, "source": {**ECB["source"], "start": "2025-01-01"}, "horizon_bars": [1, 70]}
    with pytest.raises(DataError, match=r"an empty split|no validation example is clear of the outcomes of markets-"):
        read_described(values).build(0, Settings())


def test_a_profile_lists_horizons() -> None:
    profile = load_profile("rehearsal", {"domain.horizon_days": [1, 7]})
    assert [part.horizon.count for part in profile.domain.parts().values()] == [1, 7]  # type: ignore[attr-defined]
    assert Profile.from_json(profile.to_json(), "profile.json") == profile
    assert read_section("markets", {"horizon_days": [1, 7]}).parts().keys() == profile.domain.parts().keys()


def test_weights_are_shared_by_the_horizons_of_a_domain() -> None:
    parts = [{"weight": 4, "name": "fx", "domain": {**ECB, "horizon_days": [1, 7]}}, {"domain": {"kind": "gym"}}]
    found = read_described({"kind": "mixture", "domains": parts}).domains  # type: ignore[attr-defined]
    assert [(part.called, part.weight) for part in found] == [("fx-1d", 2.0), ("fx-7d", 2.0), ("gym", 1.0)]


@pytest.mark.parametrize(
    ("horizons", "said"),
    [
        ([], "list whole numbers"),
        ([1, 1], "names 1 twice"),
        ([1, "7"], "list whole numbers"),
        ([1, True], "list whole numbers"),
        ([1, 0], "greater than or equal to 1"),
    ],
)
def test_wrong_horizons_are_refused_in_one_line(horizons: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        load_profile("rehearsal", {"domain.horizon_days": horizons})
    assert "\n" not in str(refused.value)
