"""Measures of a market's model, the words for them, and the facts of its data."""

from typing import TYPE_CHECKING, Any

from cortex.evaluation.measure import Measure, Scale

if TYPE_CHECKING:
    import polars as pl

    from cortex.domains.markets.config import DataConfig


def _calibration_error(grades: Any) -> float:
    from cortex.domains.markets.calibration import calibration_error

    return calibration_error(grades)


SCALE = Scale(
    loss="Brier score",
    skill="Brier skill",
    clusters="decision dates",
    reference="base_rate",
    rivals=("trailing_base_rate", "momentum", "mean_reversion", "logistic_regression", "gradient_boosting"),
)

MEASURES = (
    Measure("accuracy", "Accuracy", of="hit", form=".1%"),
    Measure("log_loss", "Log loss", of="log_loss", bounds=(0.0, float("inf"))),
    Measure("calibration_error", "Calibration error", compute=_calibration_error, on_card=False),
    Measure("return_mae", "Return MAE", of="absolute_error", form=".2%", has_interval=False, on_card=False),
    Measure(
        "return_skill",
        "Return MAE skill",
        of="absolute_error",
        saved_of="absolute_return",
        form="+z.3f",
        bounds=(-float("inf"), 1.0),
        on_card=False,
    ),
    Measure("coverage", "90% coverage", of="covered", form=".1%"),
    Measure("interval_width", "Width of interval", of="width", form=".2%", has_interval=False, on_card=False),
)
"""Coverage is to be read with the width: wider intervals cover more."""

NOTES = (
    "Up means a return above 0; a return of exactly 0, as of a peg, is neither up nor down, and counts as half a rise. "
    "The Brier score is the mean squared error of the stated probability of up. Log loss is "
    "in nats, with probabilities clipped to 0.001 and 0.999. Return MAE skill compares the error of the expected "
    "return with that of expecting none.",
    "An answer that cannot be read counts as the base rate, no return, and the interval of the training outcomes. "
    "Baselines are fitted on the training period alone; the trailing base rate also knows those outcomes of the test "
    "period that were over at each decision.",
    "All symbols of a date are drawn together, since they share one market. Intervals speak of this period's luck, not "
    "of another market regime. Nothing here is investment advice.",
)


def facts(config: "DataConfig", train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
    """Symbols, horizon and rates of up, for the page and the card."""
    from cortex.domains.markets.examples import feature_labels
    from cortex.domains.markets.outcomes import horizon_in_steps, rise

    steps = horizon_in_steps(test["at"], test["outcome_time"])
    overlap = f", outcomes overlap over {steps} dates" if steps > 1 else ""
    symbols = test["symbol"].unique().sort().to_list()
    still = int((test["outcome"] == 0).sum())
    return {
        "Symbols": f"{len(symbols)}: {', '.join(symbols)}",
        "Horizon": f"{config.horizon.words(config.bar)}{overlap}",
        "Base rate (up in training)": f"{rise(train['outcome'].to_numpy()).mean():.1%}",
        "Up in test": f"{rise(test['outcome'].to_numpy()).mean():.1%}",
        **({"Unchanged in test, half a rise each": f"{still:,}"} if still else {}),
        "Features": ", ".join(feature_labels(train, config.bar)),
    }
