"""Market forecasting as a domain: prompts from prices and on-chain metrics, judged by the return that followed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import JsonValue, PrivateAttr, model_validator

from cortex.domains.data_words import DataWords
from cortex.domains.domain import Built, BuiltParts, Domain, Exemplars, OnProgress, Workspace
from cortex.domains.label_finding import Finding
from cortex.domains.markets.backtest.trading import Trading
from cortex.domains.markets.config import (
    DataConfig,
    DuneConfig,
    EcbConfig,
    FilesConfig,
    FlipsideConfig,
    PublicConfig,
    SimulatorConfig,
    Style,
)
from cortex.domains.markets.data_terms import market_words
from cortex.domains.markets.horizons import by_horizon
from cortex.domains.markets.measures import MEASURES, NOTES, SCALE
from cortex.domains.markets.regime_names import STRATA
from cortex.domains.markets.reward_weights import RewardWeights
from cortex.domains.probe_section import ProbeCounts
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.reward_parts import RewardPart, signed_weights
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.domains.audit_view import AuditView, Rebuilds
    from cortex.domains.debate import Debate
    from cortex.domains.endpoint import Endpoint
    from cortex.domains.outcome_reading import Outcomes
    from cortex.domains.probe import Probe
    from cortex.domains.pull_report import PullReport
    from cortex.evaluation.bootstrap import Resamples
    from cortex.evaluation.chapter import Chapter
    from cortex.evaluation.grades import Grades
    from cortex.evaluation.page import Figure
    from cortex.evaluation.record import Evaluation, Group
    from cortex.evaluation.study import Study

# Each method imports what it needs: reading a profile must not take the time of importing polars.


class Markets(DataConfig, Domain):
    """Forecasts of returns over a horizon, from the data known at the decision."""

    kind: Literal["markets"] = "markets"
    """Names this domain."""
    style: Style = "full"
    """Form of the prompts: prose (`full`), or words that a small model can read (`compact`)."""
    rewards: RewardWeights = RewardWeights()  # pyright: ignore[reportIncompatibleVariableOverride]
    """Weights of the parts of an answer's reward."""

    scale: ClassVar[Scale] = SCALE
    measures: ClassVar[tuple[Measure, ...]] = MEASURES
    strata: ClassVar[Mapping[str, tuple[str, ...]]] = STRATA
    unwritten: ClassVar[tuple[str, ...]] = (*Domain.unwritten, "trading")
    stated: ClassVar[str | None] = "p_up"
    outcome_time: ClassVar[str | None] = "outcome_time"

    _vocabulary: frozenset[str] = PrivateAttr(default=frozenset())
    """Words of accepted labels, which count as spelled right."""

    @model_validator(mode="after")
    def _shows_its_news(self) -> Self:
        if self.news and self.style == "compact":
            raise ValueError("compact prompts show no news: set style: full, or leave source.news out")
        return self

    def check(self, settings: Settings) -> None:
        if isinstance(self.source, FilesConfig | EcbConfig):
            from cortex.domains.markets.build import check_source

            check_source(self, self.style, settings)

    def exemplars(self, example: Example) -> Exemplars | None:
        from cortex.domains.markets.exemplars import exemplars

        return exemplars(example)

    def small(self) -> Self:
        return type(self)(style="compact", source=SimulatorConfig(chains=1, days=400), rewards=self.rewards)

    def key_variables(self) -> tuple[str, ...]:
        source = self.source
        if isinstance(source, DuneConfig):
            return ("CORTEX_DUNE_API_KEY",)
        if not isinstance(source, FlipsideConfig) or source.warehouse is not None or source.without_key is not None:
            return ()
        return ("CORTEX_FLIPSIDE_API_KEY",)

    def services(self) -> tuple[str, ...]:
        if isinstance(self.source, PublicConfig):
            return (self.source.exchange, "defillama")
        if isinstance(self.source, DuneConfig):
            return ("dune",)
        return ("flipside",) if isinstance(self.source, FlipsideConfig) and self.source.warehouse is None else ()

    def clients(self) -> tuple[str, ...]:
        source = self.source
        if isinstance(source, FlipsideConfig):
            return ("flipside", "duckdb", "sqlglot") if source.warehouse else ("flipside", "ccxt", "defillama_sdk")
        if isinstance(source, PublicConfig):
            return ("ccxt", "defillama_sdk")
        if isinstance(source, DuneConfig):
            return ("dune_client",)
        return ("currency_converter",) if isinstance(source, EcbConfig) else ()

    def pull(self, seed: int, settings: Settings, on_progress: OnProgress, *, fresh: bool) -> "list[PullReport]":
        from cortex.domains.markets.pull_account import pull_market

        return [pull_market(self, seed, settings, on_progress, fresh=fresh)]

    def optional_keys(self) -> dict[str, str]:
        source = self.source
        if not isinstance(source, FlipsideConfig) or source.without_key is None:
            return {}
        return {"CORTEX_FLIPSIDE_API_KEY": f"the data come from {source.without_key.exchange} and DefiLlama"}

    def files(self) -> tuple[Path, ...]:
        source = self.source.warehouse if isinstance(self.source, FlipsideConfig) else self.source
        return source.all_paths if isinstance(source, FilesConfig) else ()

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.markets.build import build

        return build(self, self.style, seed, settings)

    def build_parts(self, seed: int, settings: Settings, workspace: Workspace) -> BuiltParts:
        from cortex.domains.markets.build import build_parts

        return build_parts(self, self.style, seed, settings, workspace)

    def grade(self, example: Example, reply: str) -> Graded:
        from cortex.domains.markets.grading import grade_reply

        assert isinstance(example.truth, float | int)
        return grade_reply(reply, example.text, example.truth, self.rewards, self._vocabulary)

    def imitable(self, question: Question, reply: str) -> Finding:
        from cortex.domains.markets.quality import check

        return check(question.text, reply)

    def script(self, question: Question, seed: int) -> str:
        from cortex.domains.markets.scripted_teacher import answer

        return answer(question.text, seed)

    def with_labels(self, labels: Mapping[str, Conversation]) -> Self:
        from cortex.domains.markets.rewards import words_of

        copy = self.model_copy()
        copy._vocabulary = words_of(label[-1].content for label in labels.values())
        return copy

    @classmethod
    def variants(cls, values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        return by_horizon(values)

    def history(self) -> str | None:
        return self.source.model_dump_json()

    def stratum(self, name: str) -> "pl.Expr":
        from cortex.domains.markets.regimes import regime

        return regime(name)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return self.rewards.parts()

    def weights(self) -> dict[str, float]:
        return signed_weights(self.reward_parts(), {})

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str:
        from cortex.domains.markets.exemplars import honest_reply

        return honest_reply(question, believed)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.markets.baselines import fit_baselines
        from cortex.domains.markets.examples import feature_names

        fitted = fit_baselines(train, test, feature_names(train)).forecasts
        return {name: forecasts.graded(test["outcome"].to_numpy()) for name, forecasts in fitted.items()}

    def span(self, test: "pl.DataFrame") -> int:
        from cortex.domains.markets.outcomes import horizon_in_steps

        return horizon_in_steps(test["at"], test["outcome_time"])

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        from cortex.domains.markets.measures import facts

        return facts(self, train, test)

    def describe_split(self, rows: "pl.LazyFrame") -> dict[str, JsonValue]:
        from polars import col

        from cortex.domains.markets.outcomes import rise

        rate, still = rise(col("outcome")).mean().alias("rate"), (col("outcome") == 0).sum().alias("still")
        found = rows.select(rate, still).collect(engine="streaming").row(0, named=True)
        return {"up_rate": float(found["rate"]), "unchanged": int(found["still"])}

    def audit_view(self, rows: "pl.DataFrame") -> "AuditView":
        from cortex.domains.markets.market_audit import view_market

        return view_market(rows, self.bar)

    def rebuilds(self, seed: int, settings: Settings, workspace: Workspace, rows: int) -> "Rebuilds":
        from cortex.domains.markets.rebuilding import load_rebuilds

        return load_rebuilds(self, self.style, seed, settings, workspace, rows)

    def truth_words(self, example: Example) -> str:
        return f"the return was {example.truth:+.2%}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        from cortex.domains.markets.calibration import calibration_details

        return calibration_details(grades)

    def uncertainty(self, numbers: Mapping[str, float], record: Mapping[str, JsonValue]) -> float | None:
        from cortex.domains.markets.calibration import uncertainty

        return uncertainty(numbers["p_up"], record)

    def groups(self, grades: "Grades", resamples: "Resamples") -> "dict[str, list[Group]]":
        from cortex.domains.markets.calibration import rise_groups

        return rise_groups(grades, resamples)

    def chapters(self, study: "Study", train: "pl.DataFrame", test: "pl.DataFrame") -> "list[Chapter]":
        from cortex.domains.markets.market_chapters import market_chapters

        return market_chapters(self, study, train, test)

    def probes(self, train: "pl.DataFrame", test: "pl.DataFrame", counts: ProbeCounts, seed: int) -> "list[Probe]":
        from cortex.domains.markets.market_probes import market_probes

        return market_probes(self, self.style, train, test, counts, seed)

    def debate(self) -> "Debate":
        from cortex.domains.markets.market_debate import MarketDebate

        return MarketDebate()

    def at_once(self) -> "Debate":
        from cortex.domains.markets.market_at_once import AtOnce

        return AtOnce()

    def backtest(
        self,
        study: "Study",
        train: "pl.DataFrame",
        test: "pl.DataFrame",
        terms: Mapping[str, float | bool],
        tries: int,
    ) -> "Chapter":
        from cortex.domains.markets.backtest.backtest_chapter import backtest_chapter, terms_of

        stated = self.trading.model_dump(exclude_unset=True) if self.trading else {}
        changed = self.model_copy(update={"trading": Trading.model_validate({**stated, **terms})})
        return backtest_chapter(study, train, test, terms_of(changed), tries=tries)

    def figures(self, evaluation: "Evaluation") -> "Iterable[Figure]":
        from cortex.domains.markets.plots import market_figures

        return market_figures(evaluation)

    def endpoint(self, dataset: Mapping[str, Any], seed: int, settings: Settings) -> "Endpoint":
        from cortex.domains.markets.market_endpoint import MarketEndpoint

        return MarketEndpoint(self, self, self.style, dataset, seed, settings)

    def outcomes(self) -> "Outcomes":
        from cortex.domains.markets.market_outcomes import MarketOutcomes

        return MarketOutcomes(self, self.style)

    def notes(self) -> tuple[str, ...]:
        return NOTES

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        return market_words(described["source"], described["features"])

    def card(self) -> CardWords:
        horizon = self.horizon.words(self.bar).removeprefix("1 ")
        return CardWords(
            what="reads what is known at a decision time, reasons, and states the probability of a rise over the next "
            f"{horizon}, an expected return and a 90% interval of the return.",
            task="Probabilistic forecasting",
            dataset_type="market",
            tags=("forecasting",),
            limits=(
                "It forecasts one horizon from the features listed above. It has not been tried on other assets or "
                "horizons.",
                "It is no investment advice. Scores leave out fees, spreads, slippage and the size of a position: "
                "skill in probability is not profit.",
            ),
        )
