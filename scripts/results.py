"""Write the tables of docs/results.md: every baseline on real history, and the models of a rehearsal on it.

    python scripts/results.py FOLDER --evaluation RELEASE/evaluation.json

FOLDER has `daily_ohlc.parquet`, `onchain_btc.parquet` and `onchain_eth.parquet`. The evaluation is of a release that
`make rehearse DATA=FOLDER/daily_ohlc.parquet` made.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cortex.domains.markets import Markets
from cortex.domains.markets.baselines import fit_baselines
from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.examples import feature_names
from cortex.domains.markets.scores.interval_scores import interval_score
from cortex.domains.markets.scores.paired import mean_cell, skill_cell
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Cell
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import REFERENCE_LOSS
from cortex.evaluation.record import label
from cortex.evaluation.study import Study
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS
from cortex.settings import CHECKOUT, Settings

PAGE = CHECKOUT / "docs" / "results.md"
BEGIN, END = "<!-- results: written by scripts/results.py -->\n", "<!-- results end -->\n"

HISTORIES = {
    "daily_ohlc.parquet": "daily bars of 109 coins",
    "onchain_btc.parquet": "Bitcoin with on-chain metrics, gold, S&P 500 and VIX",
    "onchain_eth.parquet": "Ethereum with on-chain metrics, gold, S&P 500 and VIX",
}
HORIZONS = (1, 7, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the histories")
    parser.add_argument("--evaluation", type=Path, required=True, help="evaluation.json of a release")
    args = parser.parse_args()
    record = json.loads(args.evaluation.read_text(encoding="utf-8"))
    text = "\n".join([*_models(record), *_histories(args.folder)]) + "\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")


def _models(record: Mapping[str, Any]) -> Iterator[str]:
    """The table of a run's models, and its verdict as it stands in the record."""
    data, verdict = record["data"], record["verdict"]
    yield "\n## A small model\n"
    yield (
        f"{data['train_examples']:,} training examples, {data['test_examples']:,} test examples of {data['clusters']} "
        f"decision dates from {data['times'][0][:10]} to {data['times'][-1][:10]}. {data['facts']['Horizon']} ahead.\n"
    )
    yield "| | readable | Brier skill | 95% interval | inside 90% intervals |\n| --- | ---: | ---: | --- | ---: |"
    for name, row in (record["models"] | record["baselines"]).items():
        interval = row["intervals"]["skill"]
        yield (
            f"| {label(name)} | {row['valid_share']:.1%} | {row['skill']:+z.3f} | {interval['low']:+z.3f} to "
            f"{interval['high']:+z.3f} | {row['measures']['coverage']:.1%} |"
        )
    yield f"\nThe record's verdict: **{verdict['headline']}**. {verdict['reason']} {verdict['comparison']}"


def _histories(folder: Path) -> Iterator[str]:
    for file, words in HISTORIES.items():
        yield f"\n## Baselines: {words}"
        for days in HORIZONS:
            domain = Markets(style="compact", source=FilesConfig(paths=(folder / file,)), horizon_days=days)
            yield from _history(domain, days)


def _history(domain: Markets, days: int) -> Iterable[str]:
    """One horizon: the skill of each baseline on all test examples."""
    examples = domain.build(0, Settings()).examples
    train, test = (examples.filter(split=name) for name in ("train", "test"))
    fitted = fit_baselines(train, test, feature_names(train))
    outcome = test["outcome"].to_numpy()
    graded = {name: forecasts.graded(outcome) for name, forecasts in fitted.forecasts.items()}
    everyone = {name: Grades.of(each, graded["base_rate"]) for name, each in graded.items()}
    clusters = Clusters.read(test, domain.span(test))
    study = Study(everyone, (), "base_rate", clusters, Resamples.draw(clusters), seed=0)
    plain = interval_score(everyone["base_rate"], outcome)
    rose = [f"{domain.describe_split(split.lazy())['up_rate']:.1%}" for split in (train, test)]
    yield (
        f"\n**{days} day{'s' if days > 1 else ''} ahead**: {len(train):,} training examples, {len(test):,} test "
        f"examples of {len(clusters)} decision dates, {test['at'].min():%Y-%m-%d} to {test['at'].max():%Y-%m-%d}; up "
        f"in training {rose[0]}, in test {rose[1]}.\n"
    )
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * study.resamples.block_length)
    if len(clusters) < needed:
        yield f"**{len(clusters)} dates are too few to judge by**: {needed} are needed. These intervals are guesses.\n"
    yield "| | Brier skill | interval skill | inside 90% intervals |\n| --- | ---: | ---: | ---: |"
    for name, grades in everyone.items():
        cells = (
            _words(skill_cell(study, grades.loss, grades.values(REFERENCE_LOSS)), "+z.3f"),
            _words(skill_cell(study, interval_score(grades, outcome), plain), "+z.3f"),
            _words(mean_cell(study, grades.values("covered"), (0.0, 1.0)), ".1%"),
        )
        yield f"| {label(name)} | {' | '.join(cells)} |"
    yield from (
        f"\nThe baseline {label(name)} stands as the base rate: {why}." for name, why in fitted.unfitted.items()
    )


def _words(cell: Cell, form: str) -> str:
    if cell.value is None or cell.interval is None:
        return cell.text
    return f"{cell.value:{form}} ({cell.interval.low:{form}} to {cell.interval.high:{form}})"


if __name__ == "__main__":
    main()
