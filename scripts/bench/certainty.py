"""Error that gates of certainty save: where it is planted, where there is nothing, and on real daily prices.

    python -m scripts.bench.certainty planted --seeds 40
    python -m scripts.bench.certainty nothing --seeds 200
    python -m scripts.bench.certainty real --data ~/market/daily_ohlc.parquet --symbols 12

`planted` prints the mean saving of each gate in the situation that the tests plant for it, and the share of seeds in
which it holds after as many tries as there are gates. `nothing` prints the share of seeds in which any gate is called
good. `real` judges three classifiers of scikit-learn on held-out history, and prints the chapter.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from cortex.domains.markets import Markets
from cortex.domains.markets.certainty.certainty_chapter import certainty_chapter
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept
from cortex.domains.markets.certainty.gate_findings import find_all
from cortex.domains.markets.certainty.gate_list import INTERVAL_GATES, KEEPING_GATES
from cortex.domains.markets.examples import feature_names
from cortex.domains.markets.forecasts import Forecasts
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.study import Study
from cortex.settings import Settings
from tests.domains.markets.certainty.planted_market import SITUATIONS, Draw, make_bench, nothing, nothing_overlapping

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "market" / "daily_ohlc.parquet"
GATES = (*INTERVAL_GATES, *KEEPING_GATES)
STRICT = 0.05 / (len(GATES) + 1)


def planted(seeds: int) -> None:
    for gate in GATES:
        savings, held = list[float](), 0
        for seed in range(seeds):
            case = SITUATIONS[gate.name](Draw(seed, dates=400))["model"]
            bench = make_bench(case.market)
            try:
                decided = gate.decide(case)
                judge = bench.judge_kept if isinstance(decided, Kept) else bench.judge_replaced
                saving = judge(case, decided)  # type: ignore[arg-type]
            except CannotTellError:
                continue
            savings.append(saving.saved / saving.without)
            held += saving.chance < STRICT
        print(f"{gate.title:25} {np.mean(savings):6.1%} of the error saved; holds in {held / seeds:.0%}", flush=True)


def nothing_planted(seeds: int) -> None:
    situations = {
        "no skill": lambda seed: nothing(Draw(seed, dates=150)),
        "equal skill": lambda seed: nothing(Draw(seed, dates=150), 0.1),
        "overlapping outcomes": lambda seed: nothing_overlapping(Draw(seed, dates=260)),
    }
    for name, situation in situations.items():
        called = 0
        for seed in range(seeds):
            case = situation(seed)["model"]
            called += any(each.buys for each in find_all([case], make_bench(case.market)))
        print(f"{name}: a gate is called good in {called} of {seeds} seeds", flush=True)


def real(data: Path, symbols: int, horizon: int) -> None:
    if not data.exists():
        sys.exit(f"skipped: no real market data at {data}; name a file of daily OHLC by --data")
    source = {"kind": "files", "paths": [str(data.absolute())]}
    domain = Markets.model_validate({"source": source, "horizon_days": horizon})
    built = domain.build(0, Settings()).examples
    longest = built["symbol"].value_counts(sort=True).sort("count", "symbol", descending=[True, False])
    built = built.filter(pl.col("symbol").is_in(longest["symbol"].head(symbols).to_list()))
    train, test = built.filter(split="train"), built.filter(split="test")
    baselines = domain.baselines(train, test)
    models = _classifiers(train, test)
    clusters = Clusters.read(test, domain.span(test))
    reference = baselines[domain.scale.reference]
    everyone = {name: Grades.of(graded, reference) for name, graded in {**models, **baselines}.items()}
    study = Study(everyone, tuple(models), next(iter(models)), clusters, Resamples.draw(clusters), 0)
    print(f"{len(train):,} training and {len(test):,} test examples of {len(clusters)} dates, {symbols} symbols")
    start = time.process_time()
    chapter = certainty_chapter(domain, study, train, test)
    print(f"{time.process_time() - start:.1f} s of one core")
    _show(chapter)


def _classifiers(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, list[Graded]]:
    """Classifiers of the direction, with the interval of training returns."""
    features, outcome = feature_names(train), train["outcome"].to_numpy()
    low, high = np.quantile(outcome, [0.05, 0.95])
    size, found = float(np.abs(outcome).mean()), dict[str, list[Graded]]()
    for name, model in (
        ("boosting", HistGradientBoostingClassifier(max_iter=60, max_depth=3, learning_rate=0.05, random_state=0)),
        ("forest", RandomForestClassifier(200, min_samples_leaf=100, n_jobs=1, random_state=0)),
    ):
        model.fit(train.select(features).to_numpy(), outcome > 0)
        p = np.asarray(model.predict_proba(test.select(features).to_numpy()))[:, 1]
        expected = (2 * p - 1) * size
        ends = np.minimum(low, expected), np.maximum(high, expected)
        found[name] = Forecasts(p, expected, *ends).graded(test["outcome"].to_numpy())
    return found


def _show(chapter: Chapter) -> None:
    for sentence in chapter.sentences:
        print(f"- {sentence}")
    for table in chapter.tables:
        print(f"\n{table.title}")
        for row in table.rows:
            shown = [
                cell.text if cell.value is None else format(cell.value, heading.form)
                for cell, heading in zip(row.cells, table.headings, strict=True)
            ]
            print(f"  {row.name:24} {' | '.join(shown)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["planted", "nothing", "real"])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--data", type=Path, default=BESIDE)
    parser.add_argument("--symbols", type=int, default=12)
    parser.add_argument("--horizon", type=int, default=1)
    asked = parser.parse_args()
    if asked.what == "real":
        real(asked.data, asked.symbols, asked.horizon)
    else:
        (planted if asked.what == "planted" else nothing_planted)(asked.seeds)


if __name__ == "__main__":
    main()
