"""The routes file: the models behind one gateway, and the rule of each domain by which one of them answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from cortex.errors import ConfigError
from cortex.models.model_files import ADAPTER
from cortex.profiles.profile import first_problem
from cortex.section import Section, nearest
from cortex.serving.route_rules import Rule
from cortex.urls import check_http_url, lays_keys_open
from cortex.yaml_reader import read_yaml


def _check_upstream(url: str) -> str:
    check_http_url(url)
    if url.rstrip("/").endswith("/v1"):
        raise ValueError("leave out /v1, which requests add")
    return url.rstrip("/")


class RoutedModel(Section):
    """One model: a release that this machine serves, or a model of another gateway."""

    release: str | None = Field(default=None, min_length=1)
    """A run's id, or the folder of a downloaded release."""
    weights: str = "model"
    """The folder of the release's weights, such as a quantized copy. Models whose weights are `adapter` share
    one engine where their base is the same."""
    base: str | None = Field(default=None, min_length=1)
    """For an adapter: the folder of its base on this machine. By default, it is the folder that the run's profile
    named, or the bucket's copy of the hub's model."""
    upstream: Annotated[str, AfterValidator(_check_upstream)] | None = None
    """The address of another gateway, without `/v1`."""
    model: str | None = Field(default=None, min_length=1, max_length=200)
    """The model's name at that gateway; by default its name here."""
    key_from: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """The environment variable that holds an API key of that gateway."""
    dollars_per_million_tokens: float | None = Field(default=None, ge=0, le=100_000)
    """Price of a million tokens, asked and answered; by default CORTEX_SERVE_DOLLARS_PER_MILLION_TOKENS."""

    @model_validator(mode="after")
    def _be_here_or_there(self) -> Self:
        if (self.release is None) == (self.upstream is None):
            raise ValueError("give either release or upstream")
        if self.release is not None and (self.model or self.key_from):
            raise ValueError("model and key_from belong to an upstream: leave them out")
        if self.base is not None and (self.release is None or self.weights != ADAPTER):
            raise ValueError(f"base belongs to a release whose weights are `{ADAPTER}`: leave it out")
        if self.upstream is not None and self.key_from and lays_keys_open(self.upstream):
            raise ValueError("the key could be read on its way over plain HTTP: write https://")
        return self

    def key(self, variables: Mapping[str, str], where: str) -> SecretStr:
        """The upstream's API key, empty where it needs none.

        Raises:
            ConfigError: the variable is not set.
        """
        if self.key_from is None:
            return SecretStr("")
        if not variables.get(self.key_from):
            raise ConfigError(f"{where}.key_from: the environment variable {self.key_from} is not set: set it to a key")
        return SecretStr(variables[self.key_from])


class Routes(Section):
    """The contents of a routes file."""

    models: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")], RoutedModel] = Field(min_length=1)
    """Models by their names in the API; the first that this machine serves is the default."""
    domains: dict[str, Rule] = Field(default_factory=dict[str, Rule])
    """The rule of each domain; without one, the first model that was trained on it answers."""

    @model_validator(mode="after")
    def _know_names(self) -> Self:
        if all(model.release is None for model in self.models.values()):
            raise ValueError("models: none has a release: name one that this machine serves, whose domains are asked")
        for domain, rule in self.domains.items():
            for key, name in rule.names.items():
                if name not in self.models:
                    raise ValueError(f"domains.{domain}.{key}: no model {name!r}: {nearest(name, self.models)}")
            escalate = rule.escalate
            if escalate and escalate.first == escalate.then:
                raise ValueError(f"domains.{domain}.escalate.then: is the model that was asked first: name another")
        return self


def read_routes(path: Path) -> Routes:
    """Read a routes file.

    Raises:
        ConfigError: it cannot be read, or a value in it is wrong; the message names the key.
    """
    try:
        found = read_yaml(path, exponents=True)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file: write one as docs/router.md shows") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no mapping: write models and domains as docs/router.md shows")
    try:
        return Routes.model_validate(found)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error)}") from error
