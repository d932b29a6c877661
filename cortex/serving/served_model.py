"""The models of a service: a release with an engine of this machine, or a model behind another gateway."""

from dataclasses import dataclass

from cortex.serving.engine_client import EngineClient
from cortex.serving.served_release import ServedRelease


@dataclass(frozen=True, eq=False, kw_only=True)
class Priced:
    """A model whose tokens have a price."""

    dollars_per_million_tokens: float = 0.0
    """Price of a million tokens, asked and answered."""

    def price(self, tokens: int) -> float:
        """Dollars for so many tokens."""
        return tokens * self.dollars_per_million_tokens / 1_000_000


@dataclass(frozen=True, eq=False)
class ServedModel(Priced):
    """A model of this machine. Several may share one engine, such as adapters of one base."""

    name: str
    """Its name in the API, and at its engine."""
    release: ServedRelease
    client: EngineClient

    @property
    def there(self) -> str:
        """Its name at its engine."""
        return self.name


@dataclass(frozen=True, eq=False)
class UpstreamModel(Priced):
    """A model that another gateway serves."""

    name: str
    """Its name in the API."""
    there: str
    """Its name at the other gateway."""
    client: EngineClient
