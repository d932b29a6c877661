"""The mix of a dataset: those of its training examples that a run learns from, drawn by their sampling weights.

Labels, preference pairs and GRPO's prompts are taken from the mix; baselines are fitted on every training example, so
that no mix makes a model's rivals weaker.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.drawing_rows import (
    UNIT,
    Floats,
    Places,
    draw_systematically,
    effective_size,
    inclusion_probabilities,
    most_rows,
)
from cortex.domains.sampling_weights import sampling_weights
from cortex.errors import DataError

MIX = "mix.parquet"
"""The file of the mix, beside the examples: `id`, and `probability`, with which the example was drawn."""


def write_mix(domain: Domain, seed: int, examples: pl.LazyFrame, output: Path) -> dict[str, Any]:
    """Draw the mix of a dataset's examples into its folder, and return the account of each domain's; {} without one.

    Of several domains, each keeps its share of the training examples.

    Raises:
        DataError: the examples do not allow what a profile's `mixing` asks for.
    """
    parts = domain.parts()
    if not any(part.mixing for part in parts.values()):
        return {}
    train = examples.filter(pl.col("split") == "train")
    tables = {name: _read(domain, name, train) for name in parts}
    weights = {name: _weigh(part, tables[name]) for name, part in parts.items()}
    cells = {name: _cells(part, tables[name]) for name, part in parts.items()}
    # The scarcest domain decides how many examples there can be of all of them.
    share = min(most_rows(weights[name], cells[name]) / len(tables[name]) for name in parts)
    starts = np.random.default_rng(seed)
    drawn: list[pl.DataFrame] = []
    accounts: dict[str, Any] = {}
    for name, part in parts.items():
        probabilities = inclusion_probabilities(weights[name], cells[name], share * len(tables[name]))
        chosen = draw_systematically(probabilities, int(starts.integers(UNIT)))
        if not chosen.any():
            raise DataError(
                f"mixing of {name}: of {len(chosen):,} training examples none is left: raise half_life_days, or give "
                "scarce strata a smaller share"
            )
        rows = tables[name].with_columns(probability=probabilities, drawn=chosen)
        drawn.append(rows.filter("drawn").select("_id", "probability").rename({"_id": "id"}))
        accounts[name] = _account(part, rows, weights[name])
    pl.concat(drawn).sort("id").write_parquet(output / MIX)
    return accounts


def mixed(folder: Path, examples: pl.LazyFrame) -> pl.LazyFrame:
    """The examples of a dataset's folder that its mix holds, in their order; all of them where there is none."""
    if not (folder / MIX).exists():
        return examples
    chosen = pl.scan_parquet(folder / MIX, glob=False).select("id")
    return examples.join(chosen, on="id", how="semi", maintain_order="left")


def _read(domain: Domain, name: str, train: pl.LazyFrame) -> pl.DataFrame:
    """One domain's training examples as its mix needs them, sorted by stratum and time, over which draws are spread."""
    part = domain.parts()[name]
    before = "" if part is domain else f"{name}/"
    strata = list(part.mixing.shares) if part.mixing else []
    rows = domain.rows_of(name, train).select(
        pl.format(f"{before}{{}}", "id").alias("_id"),
        "at",
        "cluster",
        *(part.stratum(one).alias(one) for one in strata),
    )
    return rows.sort(*strata, "at", "_id").collect()


def _weigh(part: Domain, rows: pl.DataFrame) -> Floats:
    return sampling_weights(rows, part.mixing) if part.mixing else np.ones(len(rows))


def _cells(part: Domain, rows: pl.DataFrame) -> Places:
    """The cell of each row, which holds the examples of the same strata in all divisions (N)."""
    strata = list(part.mixing.shares) if part.mixing else []
    if not strata:
        return np.zeros(len(rows), dtype=np.int64)
    return rows.select(pl.struct(strata).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _account(part: Domain, rows: pl.DataFrame, weights: Floats) -> dict[str, Any]:
    """Sizes, ages and shares before the mix and in it."""
    drawn = rows.filter("drawn")
    by_cluster = rows.select("cluster", weight=weights).group_by("cluster").agg(pl.col("weight").sum())["weight"]
    mixing = part.mixing
    account: dict[str, Any] = {
        "training": len(rows),
        "drawn": len(drawn),
        "effective": round(effective_size(weights), 1),
        "clusters": rows["cluster"].n_unique(),
        "clusters_drawn": drawn["cluster"].n_unique(),
        "effective_clusters": round(effective_size(by_cluster.sort().to_numpy()), 1),
        "half_life_days": mixing and mixing.half_life_days,
        "shares": {name: _shares(rows, drawn, name) for name in (mixing.shares if mixing else ())},
    }
    if not rows["at"].null_count():
        newest = rows["at"].max()
        ages = [float((newest - each["at"]).dt.total_seconds().mean() or 0.0) / 86_400 for each in (rows, drawn)]  # type: ignore[operator, arg-type]
        account["mean_age_days"] = [round(age, 1) for age in ages]
    return account


def _shares(rows: pl.DataFrame, drawn: pl.DataFrame, name: str) -> dict[str, list[float]]:
    """Each stratum's share of all training examples, and of those drawn."""
    return {
        value: [round(float((each[name] == value).mean() or 0.0), 4) for each in (rows, drawn)]  # type: ignore[arg-type]
        for value in sorted(rows[name].unique())
    }
