"""Mixing of training examples: weights, shares, draws, and what is never touched."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.domains.dataset import build_dataset, read_description, read_examples, read_split, read_training
from cortex.domains.domain import Domain
from cortex.domains.drawing_rows import (
    UNIT,
    draw_systematically,
    effective_size,
    inclusion_probabilities,
    most_rows,
)
from cortex.domains.mix_words import mix_facts, mix_lines
from cortex.domains.mixing_section import Mixing
from cortex.domains.mixture import read_described
from cortex.domains.sampling_weights import sampling_weights
from cortex.errors import ConfigError, DataError
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings

MARKETS: dict[str, Any] = {
    "kind": "markets",
    "style": "compact",
    "source": {"kind": "simulator", "chains": 3, "days": 500},
}
GYM: dict[str, Any] = {"kind": "gym", "style": "compact", "tasks": {"spell_backward": {}}, "examples": 300}
MIXED = {"half_life_days": 100.0, "shares": {"volatility": "equal", "trend": {"down": 2, "flat": 1, "up": 1}}}

weights = st.lists(st.floats(0.01, 100), min_size=1, max_size=60).map(np.array)


def built(values: dict[str, Any], folder: Path, seed: int = 0) -> Domain:
    domain = read_described(values)
    build_dataset(domain, seed, Settings(), folder)
    return domain


@given(weights=weights, cells=st.integers(1, 4), share=st.floats(0.1, 1), start=st.integers(0, UNIT - 1))
def test_a_draw_keeps_the_share_of_every_cell(weights: Any, cells: int, share: float, start: int) -> None:
    cell = np.sort(np.arange(len(weights)) % cells)
    count = most_rows(weights, cell) * share
    assert count <= effective_size(weights) + 1e-9 <= len(weights) + 1e-6
    probabilities = inclusion_probabilities(weights, cell, count)
    assert probabilities.min() >= 0 and probabilities.max() <= 1
    sums = np.bincount(cell, weights)
    assert np.allclose(np.bincount(cell, probabilities), count * sums / sums.sum())
    drawn = draw_systematically(probabilities, start)
    for end in range(len(drawn) + 1):  # any stretch from the start on holds its share
        assert abs(drawn[:end].sum() - probabilities[:end].sum()) < 1.0001


def test_a_heavier_row_is_drawn_more_often_in_proportion() -> None:
    probabilities = inclusion_probabilities(np.array([1.0, 2.0, 4.0]), np.zeros(3, dtype=np.int64), 1.0)
    starts = np.linspace(0, UNIT - 1, 7000).astype(int)
    often = sum(draw_systematically(probabilities, int(start)).astype(int) for start in starts)
    assert np.allclose(often, [1000, 2000, 4000], atol=2)  # type: ignore[arg-type]


def rows(ages: list[int], **strata: list[str]) -> pl.DataFrame:
    newest = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pl.DataFrame({"at": [newest - dt.timedelta(days=age) for age in ages], **strata})


def test_age_halves_a_weight() -> None:
    found = sampling_weights(rows([0, 30, 60, 90]), Mixing(half_life_days=30))
    assert np.allclose(found, [1, 0.5, 0.25, 0.125])
    assert effective_size(found) == pytest.approx(1.875**2 / 1.328125)


_SCARCE = {"size": "b", "shape": "y"}


def test_shares_of_two_divisions_hold_at_once() -> None:
    table = rows([0] * 8, size=["a"] * 6 + ["b"] * 2, shape=["x", "x", "x", "x", "y", "y", "x", "y"])
    found = sampling_weights(table, Mixing(shares={"size": "equal", "shape": {"x": 1.0, "y": 3.0}}))
    share = {one: found[(table[column] == one).to_numpy()].sum() / found.sum() for column, one in _SCARCE.items()}
    assert share == pytest.approx({"b": 0.5, "y": 0.75}, abs=1e-5)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"size": {"a": 1.0, "b": 1.0, "c": 1.0}}, "no training example is c: give it a share of 0"),
        ({"size": {"a": 1.0}}, "some training examples are b"),
        ({"size": "equal", "shape": {"x": 1.0, "y": 3.0}}, "size and shape cannot all be reached"),
    ],
)
def test_shares_that_cannot_be_reached_are_refused(shares: Any, said: str) -> None:
    table = rows([0] * 4, size=["a", "a", "b", "b"], shape=["x", "x", "y", "y"])
    with pytest.raises(DataError, match=said):
        sampling_weights(table, Mixing(shares=shares))


def test_a_mix_changes_the_training_alone(tmp_path: Path) -> None:
    plain, mixed = built(MARKETS, tmp_path / "plain"), built({**MARKETS, "mixing": MIXED}, tmp_path / "mixed")
    assert read_examples(tmp_path / "plain").equals(read_examples(tmp_path / "mixed"))
    assert read_training(tmp_path / "plain").equals(read_split(tmp_path / "plain", "train"))
    every, drawn = read_split(tmp_path / "mixed", "train"), read_training(tmp_path / "mixed")
    assert drawn.equals(every.filter(pl.col("id").is_in(drawn["id"].implode()))) and 0 < len(drawn) < len(every)
    for split in ("validation", "test"):
        assert read_split(tmp_path / "mixed", split).equals(read_split(tmp_path / "plain", split))
    assert plain.facts(every, every) == mixed.facts(every, every)
    description = read_description(tmp_path / "mixed")
    assert {key: value for key, value in description.items() if key != "mixing"} == read_description(tmp_path / "plain")


def test_the_account_is_that_of_the_rows(tmp_path: Path) -> None:
    domain = built({**MARKETS, "mixing": MIXED}, tmp_path / "mixed")
    account = read_description(tmp_path / "mixed")["mixing"]["markets"]
    every, drawn = read_split(tmp_path / "mixed", "train"), read_training(tmp_path / "mixed")
    assert (account["training"], account["drawn"]) == (len(every), len(drawn))
    assert len(drawn) <= account["effective"] + 1 and account["clusters_drawn"] == drawn["cluster"].n_unique()
    regimes = {name: drawn.select(domain.stratum(name)).to_series().value_counts() for name in domain.strata}
    for name, wanted in (("volatility", {"low": 1, "middle": 1, "high": 1}), ("trend", MIXED["shares"]["trend"])):  # type: ignore[index]
        for value, count in regimes[name].iter_rows():
            assert count / len(drawn) == pytest.approx(wanted[value] / sum(wanted.values()), abs=0.03)
            assert account["shares"][name][value][1] == pytest.approx(count / len(drawn), abs=1e-4)
    before, after = account["mean_age_days"]
    assert after < before
    [line] = mix_lines({"markets": account})
    assert f"{len(drawn)} of {len(every)} training examples" in line and "effective sample size" in line
    assert line.endswith(next(iter(mix_facts(read_description(tmp_path / "mixed"), "markets").values())))


def test_the_runs_seed_decides_the_draw(tmp_path: Path) -> None:
    values = {**MARKETS, "source": {"kind": "ecb", "pairs": ["EUR/USD"], "start": "2018-01-01"}, "mixing": MIXED}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        built(values, tmp_path / name, seed)
    one, same, other = (read_training(tmp_path / name)["id"].to_list() for name in "abc")
    assert one == same and one != other and set(one) & set(other)


def test_each_domain_keeps_its_share(tmp_path: Path) -> None:
    both = [{"weight": 2, "domain": GYM}, {"domain": {**MARKETS, "mixing": MIXED}}]
    domain = built({"kind": "mixture", "domains": both}, tmp_path / "both")
    counts = {name: len(domain.rows_of(name, read_training(tmp_path / "both"))) for name in domain.parts()}
    assert counts["gym"] == pytest.approx(2 * counts["markets"], abs=3) and counts["markets"] > 20
    assert set(read_description(tmp_path / "both")["mixing"]) == {"gym", "markets"}


def test_examples_without_a_time_have_no_age(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="half_life_days: examples of this domain have no time"):
        built({**GYM, "mixing": {"half_life_days": 3.0}}, tmp_path / "gym")
    assert not (tmp_path / "gym").exists()


@pytest.mark.parametrize(
    ("mixing", "said"),
    [
        ({}, "it changes nothing"),
        ({"half_life_days": 0}, "mixing.half_life_days: .*greater than 0"),
        ({"half_life_days": "1y"}, "mixing.half_life_days"),
        ({"shares": {"volatilty": "equal"}}, "no 'volatilty': did you mean 'volatility'"),
        ({"shares": {"trend": {"up": 1, "flat": 1, "dwn": 1}}}, "no 'dwn': did you mean 'down'"),
        ({"shares": {"trend": {"up": 1, "flat": 1}}}, "trend gives down no share: 0 leaves it out"),
        ({"shares": {"trend": {"up": 0, "flat": 0, "down": 0}}}, "leaves every example out"),
        ({"shares": {"trend": {"up": -1, "flat": 0, "down": 1}}}, "mixing.shares.trend"),
        ({"shares": {"trend": "even"}}, "mixing.shares.trend"),
        ({"halflife": 3}, "unknown key 'halflife': did you mean 'half_life_days'"),
    ],
)
def test_a_wrong_mixing_is_refused_in_one_line(mixing: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        load_profile("rehearsal", sets=[f"domain.mixing={json.dumps(mixing)}"])
    assert "\n" not in str(refused.value)


def test_a_domain_that_is_not_divided_has_no_shares() -> None:
    with pytest.raises(ConfigError, match="this domain's examples are not divided by anything"):
        load_profile("rehearsal-gym", sets=['domain.mixing={"shares": {"trend": "equal"}}'])


def test_a_profile_without_mixing_keeps_its_digest() -> None:
    assert "mixing" not in load_profile("rehearsal").model_dump(mode="json")["domain"]
