"""Everything that the routes of a gateway share."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from cortex.serving.callers import Access, Caller
from cortex.serving.engine_client import EngineClient
from cortex.serving.served_release import ServedRelease
from cortex.serving.serving_settings import ServingSettings
from cortex.serving.telemetry import Metrics


@dataclass
class Service:
    """A gateway at work."""

    release: ServedRelease
    settings: ServingSettings
    access: Access
    client: EngineClient
    metrics: Metrics = field(default_factory=Metrics)
    draining: bool = False
    """True after SIGTERM: requests in flight are finished, and a load balancer is to send no more."""

    @property
    def ready(self) -> bool:
        return self.client.engine.ready and not self.draining

    def account(self, request: Request, caller: Caller, prompt: int, answer: int) -> None:
        """Note the tokens of a request: for its caller's usage, the metrics, and its line of the log."""
        self.access.tokens[caller.id] += prompt + answer
        self.metrics.tokens.labels(caller.id, "prompt").inc(prompt)
        self.metrics.tokens.labels(caller.id, "answer").inc(answer)
        self.metrics.dollars.labels(caller.id).inc(self.price(prompt + answer))
        noted = noted_of(request)
        noted["prompt_tokens"] = noted.get("prompt_tokens", 0) + prompt
        noted["answer_tokens"] = noted.get("answer_tokens", 0) + answer

    def price(self, tokens: int) -> float:
        """Dollars for so many tokens."""
        return tokens * self.settings.dollars_per_million_tokens / 1_000_000


def noted_of(request: Request) -> dict[str, Any]:
    """Further keys of a request's line in the log."""
    return request.scope["state"].setdefault("noted", {})


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    return request.app.state.service
