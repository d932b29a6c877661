"""A served model: a release under a name of the API, and the engine that generates for it."""

from dataclasses import dataclass

from cortex.serving.engine_client import EngineClient
from cortex.serving.served_release import ServedRelease


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One model of a service. Several may share one engine, such as adapters of one base."""

    name: str
    """Its name in the API, and at its engine."""
    release: ServedRelease
    client: EngineClient
    dollars_per_million_tokens: float = 0.0
    """Price of a million of its tokens, asked and answered."""

    def price(self, tokens: int) -> float:
        """Dollars for so many tokens."""
        return tokens * self.dollars_per_million_tokens / 1_000_000
