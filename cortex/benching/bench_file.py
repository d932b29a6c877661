"""The JSON of a bench, read as a model's speed and price."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cortex.errors import DataError
from cortex.limits import RECORD_BYTES, read_file, read_json

GOOD_SHARE = 0.99
"""Share of a level's requests that must be within the objective, for its speed to count."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class BenchLevel(_Part):
    """One level of an endpoint, as far as costs depend on it."""

    concurrency: int | None = None
    rate: float | None = None
    succeeded: int = Field(ge=0)
    tokens_in: int | None = Field(ge=0)
    tokens_out: int = Field(ge=0)
    output_tokens_per_second: float = Field(ge=0)
    good_share: float | None = Field(ge=0, le=1)

    @property
    def label(self) -> str:
        return f"{self.concurrency} requests at a time" if self.concurrency else f"{self.rate or 0:g} arrivals a second"

    @property
    def mean_in(self) -> Decimal | None:
        """Tokens of a question, on average; None where the server did not count them."""
        return Decimal(self.tokens_in) / self.succeeded if self.tokens_in and self.succeeded else None

    @property
    def mean_out(self) -> Decimal:
        """Tokens of an answer, on average."""
        return Decimal(self.tokens_out) / self.succeeded


class BenchEndpoint(_Part):
    """One endpoint of a bench."""

    endpoint: str
    dollars_per_hour: str | None = Field(pattern=r"^[0-9]{1,13}(\.[0-9]{1,24})?$")
    levels: list[BenchLevel]


class _BenchFile(_Part):
    format: Literal["cortex bench serve 1"]
    endpoints: list[BenchEndpoint] = Field(min_length=1)


def read_bench(path: Path) -> tuple[BenchEndpoint, BenchLevel]:
    """The first endpoint of a bench, and its fastest level; with an objective, of those that kept it.

    Raises:
        DataError: the file is none, or no level of it answered, or kept the objective.
    """
    try:
        read = _BenchFile.model_validate(read_json(read_file(path, RECORD_BYTES)))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(f"{path}: {where}: {fault['msg']}: give a file from `cortex bench serve --json`") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON of `cortex bench serve`: {error}") from error
    endpoint = read.endpoints[0]
    answered = [level for level in endpoint.levels if level.succeeded and level.output_tokens_per_second > 0]
    kept = [level for level in answered if level.good_share is None or level.good_share >= GOOD_SHARE]
    if not kept:
        reason = f"kept the objective for {GOOD_SHARE:.0%} of its requests" if answered else "answered"
        raise DataError(f"{path}: no level of {endpoint.endpoint} {reason}: measure again, with less load or more time")
    return endpoint, max(kept, key=lambda level: level.output_tokens_per_second)
