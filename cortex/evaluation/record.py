"""Contents of `evaluation.json`. The same inputs give the same bytes: no time of writing, no name of run or machine."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from cortex.errors import DataError
from cortex.text import harmless

Relation = Literal["beats", "not distinguishable from", "worse than"]


JSON_NAME = "evaluation.json"
HTML_NAME = "evaluation.html"
CLIP = 1e-3
"""Log loss reads a probability as within [CLIP, 1 - CLIP]: one wrong "certain" costs 6.9 nats, not infinity."""


class Record(BaseModel):
    """A part of the record: immutable, and every number in it finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Scores(Record):
    """Scores of N forecasts. Returns are fractions."""

    n: int
    """Examples scored; abstentions count."""
    valid_share: float
    """The share of answers that could be read."""
    accuracy: float
    """The share of right directions. A probability of exactly 0.5 names none, and counts half."""
    brier: float
    """The mean squared error of the probability of up (Brier 1950), 0 to 1; 0.25 is a coin's."""
    brier_skill: float
    """1 - Brier / Brier of the training base rate: 0 knows nothing more, 1 knows all."""
    log_loss: float
    """The mean negative log likelihood in nats, probabilities clipped at `CLIP`."""
    calibration_error: float
    """The expected calibration error over 10 bins of equal mass."""
    return_mae: float
    """The mean absolute error of the expected return."""
    no_change_mae: float
    """The same of a forecast of 0."""
    return_skill: float
    """1 - return_mae / no_change_mae."""
    coverage: float
    """The share of outcomes inside the stated 90% interval, its ends included."""
    interval_width: float
    """The mean width of that interval: coverage is bought with width."""


class Interval(Record):
    """A 95% interval."""

    low: float
    high: float


class ScoreIntervals(Record):
    """The 95% intervals of the scores of the same names."""

    accuracy: Interval
    brier: Interval
    brier_skill: Interval
    log_loss: Interval
    return_skill: Interval
    coverage: Interval


class ReliabilityBin(Record):
    """Forecasts of about the same probability: what they stated, and how often it came true."""

    mean_p: float
    up_rate: float
    count: int


class Curves(Record):
    """Data of one forecaster's plots."""

    reliability: list[ReliabilityBin]
    p_counts: list[int]
    """Number of forecasts in each of several bins of equal width between 0 and 1."""
    cumulative_skill: list[float]
    """Brier skill gained up to each decision date, as a share of the whole period's reference; it ends at the skill."""


class Evaluated(Record):
    """One forecaster, a model or a baseline, judged on the test split."""

    scores: Scores
    intervals: ScoreIntervals
    curves: Curves


class Comparison(Record):
    """Two forecasters on the same examples: `second`'s Brier score less `first`'s. Above 0 is `first`'s advantage."""

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
    """Verdict on the judged model."""

    model: str
    skill_shown: bool
    reason: str
    comparison: str

    @computed_field
    @property
    def headline(self) -> Literal["skill shown", "no skill shown"]:
        return "skill shown" if self.skill_shown else "no skill shown"


class DataSummary(Record):
    """Summary of the test data. The base rate and everything fitted come from the training split only."""

    source: str
    """Source of the examples, in words."""
    simulated: bool
    train_examples: int
    test_examples: int
    symbols: list[str]
    decision_times: list[datetime]
    """The test split's, each once, in order."""
    horizon_days: float
    """From a decision to its outcome (the median)."""
    horizon_steps: int
    """Maximum number of decision dates that one outcome spans; above 1, outcomes overlap."""
    base_rate: float
    """The share of training outcomes above 0."""
    test_up_rate: float
    block_length: int
    """Decision dates that are resampled together."""
    resamples: int
    seed: int


class Sample(Record):
    """One test example with what the models answered, for people to read."""

    example_id: str
    prompt: str
    outcome: float
    answers: dict[str, str]
    """The model's name, and its answer in full."""


class Derived(Record):
    """Weights derived from others, with the divergence of their predictions from the original's."""

    name: str
    made_of: str
    divergence: float
    """Mean Kullback-Leibler divergence of next-token distributions along held-out answers, in nats."""


class Evaluation(Record):
    """The whole record. Mappings keep the order in which the models were given."""

    data: DataSummary
    verdict: Verdict
    models: dict[str, Evaluated]
    baselines: dict[str, Evaluated]
    comparisons: list[Comparison]
    samples: list[Sample]
    derived: list[Derived] = []
    """The released weights that are not as they were trained."""

    @property
    def forecasters(self) -> dict[str, Evaluated]:
        """Models, then baselines."""
        return self.models | self.baselines

    def to_json(self) -> str:
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "evaluation.json") -> "Evaluation":
        """Read a record back.

        Raises:
            DataError: the text is not one; the message names `name` and the first field that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the text"
            raise DataError(f"{name}: {field}: {first['msg']}; run the evaluate stage again") from error


def label(name: str) -> str:
    """A forecaster's name as people read it."""
    return harmless(name.replace("_", " "), limit=100)
