"""Contents of `evaluation.json`. The same inputs give the same bytes: no time of writing, no name of run or machine."""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue, ValidationError, computed_field

from cortex.errors import DataError
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.confidence import Interval, Record
from cortex.evaluation.tries import Tries
from cortex.text import harmless

Relation = Literal["beats", "not distinguishable from", "worse than"]

Outcome = Literal["shown", "not shown", "harmful", "cannot be told"]
"""Outcome of a test: a gain above 0, one that is too small to matter or to see, a loss, or too little to judge by."""


JSON_NAME = "evaluation.json"
HTML_NAME = "evaluation.html"

Headline = Literal["skill shown", "no skill shown", "harmful", "skill cannot be told"]

SHOWN: Headline = "skill shown"
"""The headline of a verdict that a model is good."""

_HEADLINES: dict[Outcome, Headline] = {
    "shown": SHOWN,
    "not shown": "no skill shown",
    "harmful": "harmful",
    "cannot be told": "skill cannot be told",
}


class Column(Record):
    """A measure, as a table shows it."""

    name: str
    title: str
    form: str
    """A format specification, such as `.1%`."""
    on_card: bool


class Group(Record):
    """Answers of one contender that state a like number, and the share of them that came true."""

    low: float
    high: float
    """The smallest and the largest number that they state."""
    up_to: float
    """The largest number that belongs to the group."""
    examples: int
    clusters: int
    share: float | None
    interval: Interval | None
    """Null, as the share is, where there are too few to say."""


class Evaluated(Record):
    """One contender, a model or a baseline, judged on the test split."""

    n: int
    """Examples judged; invalid replies count."""
    loss: float
    """The mean loss, 0 to 1."""
    skill: float
    """1 - loss / loss of the reference baseline: 0 knows nothing more, 1 knows all."""
    valid_share: float
    """The share of replies that could be read."""
    measures: dict[str, float]
    """The figures of the domain's measures, by name."""
    intervals: dict[str, Interval]
    """The 95% intervals of `loss`, of `skill`, and of those measures that have one."""
    cumulative_skill: list[float] = Field(default_factory=list[float])
    """Skill gained up to each cluster in time, as a share of the whole reference's loss; it ends at the skill."""
    details: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Data of the domain's own figures on the page."""
    groups: dict[str, list[Group]] = Field(default_factory=dict[str, list[Group]])
    """The domain's groups of readable answers, by what came true."""


class Comparison(Record):
    """Two contenders on the same examples: `second`'s loss less `first`'s. Above 0 is `first`'s advantage."""

    first: str
    second: str
    difference: float
    interval: Interval

    @computed_field
    @property
    def relation(self) -> Relation:
        """Relation of `first` to `second`, as far as the interval decides it."""
        if self.interval.low > 0:
            return "beats"
        return "worse than" if self.interval.high < 0 else "not distinguishable from"


class Verdict(Record):
    """Verdict on the judged model, by the rules of docs/judging.md."""

    model: str
    outcome: Outcome
    """Outcome against the reference baseline."""
    against_rivals: Outcome | None
    """Outcome against the best simple rival, whichever that is; None without rivals."""
    interval: Interval
    """Interval of the skill by which it is called shown: 95% for the first model that the test set judges, wider for
    each further one."""
    tries: Tries
    least_skill: float
    """The least true skill that such a test shows four times in five."""
    clusters_needed: int | None
    """Number of clusters in which a skill as large as the observed one would show so; None where it is not above 0."""
    reason: str
    comparison: str

    @computed_field
    @property
    def skill_shown(self) -> bool:
        return self.outcome == "shown"

    @computed_field
    @property
    def headline(self) -> Headline:
        return _HEADLINES[self.outcome]


class DataSummary(Record):
    """Summary of the test data. Everything fitted comes from the training split only."""

    domain: str
    """The domain's kind, or its name among several."""
    source: str
    """Source of the examples, in words."""
    simulated: bool
    train_examples: int
    test_examples: int
    clusters: int
    """Number of clusters: groups of examples that are right or wrong together."""
    times: list[datetime]
    """Time at which the questions of each cluster were asked, in order; empty where order means nothing."""
    span: int
    """Maximum number of consecutive clusters that one outcome spans; above 1, outcomes overlap."""
    block_length: int
    """Clusters that are resampled together."""
    resamples: int
    seed: int
    facts: dict[str, str]
    """The domain's further facts of the data, for people."""

    @property
    def blocks(self) -> float:
        """Number of blocks of clusters."""
        return self.clusters / self.block_length

    @property
    def period(self) -> dict[str, str]:
        """The test period, by its title; empty where order means nothing."""
        if not self.times:
            return {}
        return {"Test period": f"{self.times[0]:%Y-%m-%d} to {self.times[-1]:%Y-%m-%d}"}


class Words(Record):
    """The domain's words for its losses, skill, clusters and replies."""

    loss: str
    skill: str
    clusters: str
    reference: str
    """The name of the baseline that skill is measured against."""
    replies: str


class Sample(Record):
    """One test example with what the models answered, for people to read."""

    example_id: str
    prompt: str
    truth: str
    answers: dict[str, str]
    """The model's name, and its answer in full."""


class Derived(Record):
    """Weights derived from others, with the divergence of their predictions from the original's."""

    name: str
    made_of: str
    divergence: float
    """Mean Kullback-Leibler divergence of next-token distributions along held-out answers, in nats."""


class DistilledContender(Record):
    """A model on the questions that the teacher answered, too."""

    name: str
    prompted: bool
    """The long prompt stood before each question."""
    loss: float
    loss_interval: Interval
    skill: float
    skill_interval: Interval
    valid_share: float


class Distillation(Record):
    """A student without the long prompt that its teacher had, beside the teacher with it."""

    prompt: str
    """SHA-256 of the prompt."""
    examples: int
    clusters: int
    unanswered: int
    """Questions that the teacher refused or did not answer: they count as the reference baseline's answers."""
    contenders: list[DistilledContender]
    """The student, the teacher, models of earlier stages, and the base, which may be there with the prompt, too."""
    difference: float
    """The teacher's loss less the student's: above 0 the student, which has no prompt, does better."""
    difference_interval: Interval
    tokens_saved: int
    """Tokens of the prompt by the student's tokenizer: each request needs so many fewer."""
    dollars_saved: float | None
    """Dollars for a million requests, at the price of input of the profile's first provider; None without a price."""
    dollars_saved_cached: float | None
    """The same where the provider has the prompt in its cache; None where the profile names no price of that."""


class Evaluation(Record):
    """The whole record. Mappings keep the order in which the models were given."""

    data: DataSummary
    words: Words
    columns: list[Column]
    """The measures that `models` and `baselines` have, in the order of a table."""
    verdict: Verdict
    models: dict[str, Evaluated]
    baselines: dict[str, Evaluated]
    comparisons: list[Comparison]
    chapters: list[Chapter] = Field(default_factory=list[Chapter])
    """Findings of further analyses, the domain's own among them."""
    samples: list[Sample]
    derived: list[Derived] = Field(default_factory=list[Derived])
    """Released weights that were changed after training, such as quantized copies."""
    distillation: Distillation | None = None
    """Only where the teacher had a system prompt, and answered test questions with it."""

    @property
    def contenders(self) -> dict[str, Evaluated]:
        """Models, then baselines."""
        return self.models | self.baselines

    def to_json(self) -> str:
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "evaluation.json") -> "Evaluation":
        """Read a record back.

        Raises:
            DataError: the text is no record; the message names `name` and the first field that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the text"
            raise DataError(f"{name}: {field}: {first['msg']}; run the evaluate stage again") from error


def label(name: str) -> str:
    """A contender's name as people read it."""
    return harmless(name.replace("_", " "), limit=100)
