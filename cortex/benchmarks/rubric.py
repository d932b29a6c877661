"""A rubric: the model that judges, and a few named criteria; read from a YAML file."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile import first_problem
from cortex.profiles.teacher_section import TokenPrice
from cortex.section import Section
from cortex.settings import Settings
from cortex.teaching.chat import Endpoint
from cortex.teaching.key_way import KEEP_PRIVATE, variable_laid_open
from cortex.teaching.usage import Price
from cortex.urls import check_http_url
from cortex.yaml_reader import read_yaml

OVERALL = "overall"
"""The name of the choice between two answers by all criteria together."""

ACCEPT = "accept"
"""The name of the decision about one answer by all criteria together."""

KEY = "CORTEX_JUDGE_API_KEY"

CriterionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
Criterion = Annotated[str, Field(min_length=3, max_length=500)]


class Judge(Section):
    """The model that judges, at a server that speaks OpenAI's protocol."""

    url: Annotated[str, AfterValidator(check_http_url)]
    """The address up to and including `/v1`."""
    model: str = Field(min_length=1)
    """The model's name there."""
    concurrency: int = Field(default=8, ge=1, le=512)
    """Maximum number of concurrent requests."""
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    """None leaves it to the server: OpenAI's reasoning models refuse any."""
    max_tokens: int = Field(default=1024, ge=16)
    """Longest reply in tokens, its reasoning included."""
    length_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The parameter for the longest reply; OpenAI's reasoning models know the second alone."""
    patience_seconds: float = Field(default=300.0, ge=0, le=86400)
    """Seconds without any answer before the judge counts as down."""
    price: TokenPrice | None = None
    """Required where `dollars` limits the cost."""
    dollars: float | None = Field(default=None, gt=0)
    """Maximum cost of one comparison. None: no limit."""

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if self.dollars is not None and self.price is None:
            raise ValueError("`dollars` limits the cost, and the judge has no `price`: give it one")
        return self


class Rubric(Section):
    """The whole file."""

    judge: Judge
    criteria: dict[CriterionName, Criterion] = Field(min_length=1, max_length=8)
    """Criteria by name, each a sentence that a good answer makes true."""

    @model_validator(mode="after")
    def _free_names(self) -> Self:
        taken = next((name for name in (OVERALL, ACCEPT) if name in self.criteria), None)
        if taken:
            raise ValueError(f"a criterion cannot be called {taken!r}, which stands for all together: rename it")
        return self

    def endpoint(self, settings: Settings) -> Endpoint:
        """The judge as the client takes it.

        Raises:
            ConfigError: others could read the key on its way.
        """
        judge, key = self.judge, settings.judge_api_key.get_secret_value()
        if key not in ("", "none") and (fault := variable_laid_open(KEY, judge.url, settings)):
            raise ConfigError(f"{fault}: {KEEP_PRIVATE}")
        return Endpoint(
            url=judge.url,
            api_key=key,
            model=judge.model,
            concurrency=judge.concurrency,
            temperature=judge.temperature,
            max_tokens=judge.max_tokens,
            patience_seconds=judge.patience_seconds,
            role="the judge",
            section="judge",
            key_variable=KEY,
            name="judge",
            price=_price(judge.price),
            length_key=judge.length_key,
        )


def read_rubric(path: Path) -> Rubric:
    """The rubric of a file.

    Raises:
        UsageError: there is no such file.
        ConfigError: it is no rubric; the message names the first wrong key.
    """
    try:
        return Rubric.model_validate(read_yaml(path))
    except FileNotFoundError as error:
        raise UsageError(f"{path} is not there: name a rubric, such as examples/rubric.yaml") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)}") from error


def _price(price: TokenPrice | None) -> Price | None:
    if price is None:
        return None
    cached = None if price.cached is None else Decimal(str(price.cached))
    return Price(Decimal(str(price.input)), Decimal(str(price.output)), cached)
