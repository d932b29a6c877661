"""The contract between the kit and a domain: everything that the kit asks of a domain."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from cortex.domains.data_words import DataWords, unknown_terms
from cortex.domains.endpoint import Endpoint
from cortex.domains.episode import Episode, ToolTurns
from cortex.domains.feedback_section import Feedback, read_feedback
from cortex.domains.label_finding import Finding
from cortex.domains.match import Match
from cortex.domains.mixing_section import Mixing
from cortex.domains.outcome_reading import Outcomes
from cortex.domains.probe import Probe
from cortex.domains.probe_section import ProbeCounts
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.reward_parts import RewardPart, check_values, signed_weights, weighted_sum
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.section import Section
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.domains.audit_view import AuditView, Rebuilds
    from cortex.domains.debate import Debate
    from cortex.domains.pull_report import PullReport
    from cortex.evaluation.bootstrap import Resamples
    from cortex.evaluation.chapter import Chapter
    from cortex.evaluation.grades import Grades
    from cortex.evaluation.page import Figure
    from cortex.evaluation.record import Evaluation, Group
    from cortex.evaluation.study import Study

    Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)

DESCRIPTION = "dataset.json"
"""The file that describes a dataset, beside its examples."""


@dataclass(frozen=True)
class Built:
    """A dataset, and the account of it that goes into `dataset.json`."""

    examples: "pl.DataFrame"
    """Table with the columns of `example_columns.SCHEMA`, and any further ones of the domain's own."""
    source: Mapping[str, object]
    """The source's name, parameters and hashes, for provenance; no path of this machine."""
    simulated: bool
    summary: str = ""
    """The contents in a few words, for `cortex dataset show`."""
    further: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further keys of `dataset.json`, such as the use of each column of a file."""

    def description(self) -> dict[str, Any]:
        """The account of the examples, as keys of `dataset.json`."""
        return {"source": self.source, "simulated": self.simulated, "summary": self.summary, **self.further}


OnProgress = Callable[[str, int, int], None]
"""Takes the name of a step, how much of it is done, and how much there is in all."""


def ignore_progress(step: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Workspace:
    """Room for building a dataset that may be larger than memory."""

    scratch: Path | None = None
    """A folder for temporary files, on the disk of the output; None where all of it is to stay in memory."""
    on_progress: OnProgress = ignore_progress
    piece_rows: int = 500_000
    """Rows of a source to hold in memory at a time, about: a piece is never less than one symbol's history."""
    part_rows: int = 150_000
    """Examples to hold in memory, and to write into a file, at a time, about."""


@dataclass(frozen=True)
class BuiltParts:
    """A dataset, built part by part."""

    frames: Iterator["pl.DataFrame"]
    """The examples in their order, each part a table as `Built.examples`; to be drawn once."""
    description: Callable[[], dict[str, Any]]
    """Further keys of `dataset.json`; called after the last part."""


@dataclass(frozen=True)
class Exemplars:
    """Replies of known worth to one example, with which `cortex domain check` tests a domain's grades."""

    gold: str
    """Right in every way: no reply loses less."""
    gaming: Mapping[str, str] = field(default_factory=dict[str, str])
    """Replies that seek a reward without an answer, by name: each must earn less than `Domain.honest_reply` of someone
    who knows little, on average."""


class Domain(Section, ABC):
    """A task to learn. Its fields are the `domain` section of a profile; `kind` names its folder."""

    kind: Any
    """Each domain declares it as a `Literal` of its folder's name."""
    feedback: Annotated[Feedback | None, BeforeValidator(read_feedback)] = None
    """Feedback to learn from, beside the domain's own source: the folder or name of a dataset that `cortex feedback
    build` wrote, or a mapping."""
    mixing: Mixing | None = None
    """Training examples to learn from, and in what proportions. Default: all, as they occur."""
    rewards: dict[str, float] = Field(default_factory=dict[str, float])
    """Weights of parts of the reward by name, in place of the domain's own: 0 or more, penalties are subtracted."""

    scale: ClassVar[Scale]
    """Names of the domain's losses, and the baselines that they are compared with."""
    truth_in_prompt: ClassVar[bool] = False
    """True where prompts may show the truth, because it is the task itself, such as a board or a set of tests."""
    measures: ClassVar[tuple[Measure, ...]] = ()
    """Figures of a model on the page and in `cortex show`, besides its loss, skill and share of valid replies."""
    strata: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Divisions of the examples that a profile's `mixing` can name, each with its strata."""
    unwritten: ClassVar[tuple[str, ...]] = ("feedback", "mixing", "rewards")
    """Keys that a section is written without where they are empty."""
    stated: ClassVar[str | None] = None
    """Name of a grade's number that is the probability which the reply states; None where replies state none."""
    outcome_time: ClassVar[str | None] = None
    """Column of the time at which an example's truth became known; None where that is the example's own time."""

    @abstractmethod
    def build(self, seed: int, settings: Settings) -> Built:
        """Make the examples. Equal seeds and sources give equal rows.

        Raises:
            DataError: the source cannot be used, or holds too little.
        """

    def build_parts(self, seed: int, settings: Settings, workspace: Workspace) -> BuiltParts:
        """Make the examples part by part, the same rows as `build`, for sources that may be larger than memory.

        Raises:
            DataError: as `build`, here or while the parts are drawn.
        """
        built = self.build(seed, settings)
        return BuiltParts(iter((built.examples,)), built.description)

    @abstractmethod
    def grade(self, example: Example, reply: str) -> Graded:
        """Judge one reply. It must be pure and fast: rewards, preference pairs, export and evaluation all call it."""

    @abstractmethod
    def imitable(self, question: Question, reply: str) -> Finding:
        """Decide whether SFT may imitate a teacher's reply, without knowing the truth."""

    @abstractmethod
    def script(self, question: Question, seed: int) -> str:
        """Answer a question in place of a teacher, for rehearsals."""

    @abstractmethod
    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        """Grades of each baseline, fitted on `train`, for each row of `test`; `scale.reference` is one of them."""

    @abstractmethod
    def reward_parts(self) -> tuple[RewardPart, ...]:
        """The parts of the reward, which every grade has: their weights, bounds and formulas."""

    def weights(self) -> dict[str, float]:
        """The weight of each part of a grade in the reward, by this profile; a penalty's is negative."""
        return signed_weights(self.reward_parts(), self.rewards)

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str | None:
        """The reply of someone who states a belief as it is, with plain reasoning; None where replies state none.

        `believed` is the belief: examples, of which any may be the one that is asked, with their probabilities. By it
        `cortex domain check` tests that no cheat pays more than an honest, mediocre answer, which knows only how often
        each truth occurs, and that no other statement pays more than an honest one.
        """
        return None

    def exemplars(self, example: Example) -> Exemplars | None:
        """Replies of known worth to an example; None where the domain knows none."""
        return None

    def check(self, settings: Settings) -> None:
        """Find what is missing before anything is rented: keys, files, packages.

        Raises:
            ConfigError, DataError: something is missing; the message names it and the fix.
        """

    def small(self) -> Self:
        """A variant that builds in a second on any machine, with short questions, for drills of the trainers."""
        return self

    def key_variables(self) -> tuple[str, ...]:
        """Environment variables with the keys of the services that `build` queries over the network."""
        return ()

    def services(self) -> tuple[str, ...]:
        """Services that `build` asks over the network, with or without a key."""
        return ()

    def clients(self) -> tuple[str, ...]:
        """Packages, as they are imported, without which `pull` cannot ask its services."""
        return ()

    def pull(self, seed: int, settings: Settings, on_progress: OnProgress, *, fresh: bool) -> "list[PullReport]":
        """Load the domain's sources alone, and account for them; nothing where it makes its examples itself.

        `fresh` asks anew for what is kept. Raises ConfigError or DataError as `build` does.
        """
        return []

    def teacher_prompt(self) -> str | None:
        """A long system prompt for a teacher, which models that learn from it never see; None where there is none."""
        return None

    def optional_keys(self) -> dict[str, str]:
        """Further keys of such services, each with the words for what `build` does without it."""
        return {}

    def files(self) -> tuple[Path, ...]:
        """Files and folders of this machine that `build` reads."""
        return ()

    def with_labels(self, labels: Mapping[str, Conversation]) -> Self:
        """A copy that knows what its grades need of the accepted labels, by example id, such as the words used."""
        return self

    def parts(self) -> "Mapping[str, Domain]":
        """The domains that this one consists of, by name; itself where it is a single one."""
        return {str(self.kind): self}

    def part_of(self, example: str) -> str:
        """The name of the part that an example belongs to, from the example's id."""
        return str(self.kind)

    def rows_of(self, part: str, examples: "Rows") -> "Rows":
        """The rows of one part, as it built them."""
        return examples

    @classmethod
    def variants(cls, values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """The sections, by short name, that a profile's section with a list in a key stands for; {} for one."""
        return {}

    def history(self) -> str | None:
        """Name of the history that the examples' outcomes are of: domains of one history share their splits' times.

        None where order in time means nothing.
        """
        return None

    def stratum(self, name: str) -> "pl.Expr":
        """The stratum of each row, one of `strata[name]`, by columns that were known at the row's own time."""
        raise NotImplementedError(f"{self.kind} names strata, and does not tell them apart")

    def episode(self, example: Example) -> Episode | None:
        """A new exchange about a question, for a model that takes several turns; None where one reply ends it.

        A service has no truth: there the example's is None.
        """
        return None

    def takes_turns(self) -> bool:
        """True where some questions have an episode."""
        return type(self).episode is not Domain.episode

    def match(self, example: Example) -> Match | None:
        """A new game of several players, all of whom the model plays in GRPO; None where it has but one player."""
        return None

    def plays_matches(self) -> bool:
        """True where some questions have a match."""
        return type(self).match is not Domain.match

    def tool_turns(self) -> ToolTurns | None:
        """The form of calls, where every episode does no more than answer them: GRPO then trains on them as TRL trains
        on tools. None for other episodes, and where there are none."""
        return None

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        """Judge all turns that follow a question, such as moves of a game; by default only the last turn."""
        return self.grade(example, turns[-1].content)

    def own_reply(self, example: Example) -> str | None:
        """The data's own reply to a training example, as its label; None where a teacher is asked for one."""
        return None

    def preferred(self, example: Example) -> tuple[str, str] | None:
        """A better and a worse reply from the data, for DPO; None where DPO samples replies and grades them."""
        return None

    def span(self, test: "pl.DataFrame") -> int:
        """Maximum number of consecutive clusters that share an outcome; 1 where clusters are independent."""
        return 1

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        """Further facts of the data for the page and the card, such as symbols and a base rate."""
        return {}

    def describe_split(self, rows: "pl.LazyFrame") -> dict[str, JsonValue]:
        """Further keys of a split in `dataset.json`, besides its size and times. Its rows may not fit in memory."""
        return {}

    def audit_view(self, rows: "pl.DataFrame") -> "AuditView":
        """The parts of examples that an audit compares; by default the words of their questions, in threes."""
        from cortex.domains.audit_words import view_words

        return view_words(rows)

    def rebuilds(self, seed: int, settings: Settings, workspace: Workspace, rows: int) -> "Rebuilds | None":
        """The means to build the examples again after a change of the future; None where the domain has none.

        At most `rows` rows of the sources are used, about. Raises as `build`.
        """
        return None

    def truth_words(self, example: Example) -> str:
        """An example's truth in words, for people."""
        return f"the truth is {json.dumps(example.truth)}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        """Data of the domain's own figures on the page, from one contender's grades."""
        return {}

    def uncertainty(self, numbers: Mapping[str, float], record: Mapping[str, JsonValue]) -> float | None:
        """Uncertainty of a readable reply: 0 is certain to be right, 1 knows nothing.

        `numbers` are those of a grade that the reply itself states. `record` is the model's `details`, by which its
        statements are calibrated; empty where there are none. None where the domain's replies state no certainty.
        """
        return None

    def groups(self, grades: "Grades", resamples: "Resamples") -> "dict[str, list[Group]]":
        """Groups of one contender's answers, by what came true, for services to say how such answers fared."""
        return {}

    def chapters(self, study: "Study", train: "pl.DataFrame", test: "pl.DataFrame") -> "list[Chapter]":
        """The domain's own analyses of the judged answers to `test`, as chapters of the evaluation.

        Such as intervals that promise coverage, or what would have come of acting on the answers. What an analysis
        fits, it fits on `train`, or on that part of `test` that was known before.
        """
        return []

    def probes(self, train: "pl.DataFrame", test: "pl.DataFrame", counts: ProbeCounts, seed: int) -> "Sequence[Probe]":
        """Variants of test questions that show how a model's answers hang on what it is told, as many as `counts` says.

        By default none: a domain's model is then asked the same questions repeatedly, if at all.
        """
        return ()

    def debate(self) -> "Debate | None":
        """The roles in which a model can debate about a question before it answers; None where there are none."""
        return None

    def at_once(self) -> "Debate | None":
        """The form in which a model answers without reasoning first; None where there is none."""
        return None

    def backtest(
        self,
        study: "Study",
        train: "pl.DataFrame",
        test: "pl.DataFrame",
        terms: Mapping[str, float | bool],
        tries: int,
    ) -> "Chapter | None":
        """An account, on paper, of acting on the judged answers to `test`; None where there is nothing to act on.

        `terms` replace those of the domain's section, by their keys. `tries` is the number of models and settings that
        looked at this test.
        """
        return None

    def figures(self, evaluation: "Evaluation") -> "Iterable[Figure]":
        """The domain's own figures on the page."""
        return ()

    def endpoint(self, dataset: Mapping[str, Any], seed: int, settings: Settings) -> Endpoint:
        """The domain's side of a service of models that were trained on it.

        `dataset` is the description of the data that they were trained on, `seed` that of their run.
        """

        return Endpoint(self)

    def outcomes(self) -> Outcomes:
        """The domain's reading of outcomes that are posted back to a service; by default it takes none."""
        return Outcomes(str(self.kind))

    def notes(self) -> tuple[str, ...]:
        """Sentences for the page on how to read the domain's scores."""
        return ()

    def card(self) -> CardWords:
        """The domain's texts for the cards of its models."""
        return CardWords(what="answers questions of its domain.", task=self.kind, dataset_type=self.kind)

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        """The domain's texts for the card of its dataset, of which `described` is the description."""
        return DataWords("An example is a question and its true answer.", (unknown_terms(described["source"]),))

    def reward(self, graded: Graded) -> float:
        """The reward of a reply: the weighted sum of its parts, with penalties subtracted last.

        Raises:
            DataError: a part is undeclared, missing, or outside of its bounds; the message names it and its value.
        """
        check_values(str(self.kind), self.reward_parts(), graded.parts)
        return weighted_sum(self.weights(), graded.parts)

    @model_validator(mode="after")
    def _weigh_known_parts(self) -> Self:
        self.weights()
        return self

    @model_validator(mode="after")
    def _mixes_its_strata(self) -> Self:
        if self.mixing:
            self.mixing.check_strata(self.strata)
        return self

    @model_serializer(mode="wrap")
    def _without_absent_sections(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a section without any of `unwritten` as before there were such keys: its profile keeps its digest."""
        values: dict[str, Any] = handler(self)
        for name in self.unwritten:
            if not values.get(name):
                values.pop(name, None)
        return values
