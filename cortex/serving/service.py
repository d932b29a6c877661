"""Everything that the routes of a gateway share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from cortex.serving.callers import Access, Caller
from cortex.serving.engine_client import EngineClient
from cortex.serving.feedback.feedback_keeper import FeedbackKeeper
from cortex.serving.refusals import Refusal
from cortex.serving.route_rules import Rule
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.serving_settings import ServingSettings
from cortex.serving.telemetry import Metrics


@dataclass
class Service:
    """A gateway at work."""

    models: Mapping[str, ServedModel]
    """Models of this machine by their names in the API, at least one; the first is the default."""
    settings: ServingSettings
    access: Access
    upstreams: Mapping[str, UpstreamModel] = field(default_factory=dict[str, UpstreamModel])
    """Models of other gateways, by their names in this one's API."""
    rules: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    """By domain."""
    metrics: Metrics = field(default_factory=Metrics)
    feedback: FeedbackKeeper | None = None
    """The keeper of feedback; None where none is kept."""
    draining: bool = False
    """True after SIGTERM or a cloud's notice: what was begun is finished, and load balancers are to send no more."""

    @property
    def default(self) -> ServedModel:
        """The model that answers where a request names none."""
        return next(iter(self.models.values()))

    @property
    def clients(self) -> list[EngineClient]:
        """The clients of this machine's engines, each once."""
        return list(dict.fromkeys(model.client for model in self.models.values()))

    @property
    def ready(self) -> bool:
        return all(client.engine.ready for client in self.clients) and not self.draining

    @property
    def everyone(self) -> dict[str, ServedModel | UpstreamModel]:
        """All models by name, those of this machine first."""
        return {**self.models, **self.upstreams}

    def model(self, name: str) -> ServedModel | UpstreamModel:
        """The model of this name.

        Raises:
            Refusal: 404 where there is none.
        """
        everyone = self.everyone
        if name not in everyone:
            served = ", ".join(repr(each) for each in everyone)
            raise Refusal(404, f"no model {name!r}: served {'is' if len(everyone) == 1 else 'are'} {served}")
        return everyone[name]

    def model_for(self, domain: str, name: str | None = None) -> ServedModel | UpstreamModel:
        """The model that answers a request of a domain: the named one, or the first that was trained on it.

        Raises:
            Refusal: 404 where there is no such model, or it was not trained on this domain.
        """
        if name is None:
            return next(model for model in self.models.values() if domain in model.release.endpoints)
        model = self.model(name)
        if isinstance(model, ServedModel) and domain not in model.release.endpoints:
            raise Refusal(404, f"the model {name!r} answers {', '.join(model.release.endpoints)}, not {domain}")
        return model

    def account(
        self, request: Request, caller: Caller, model: ServedModel | UpstreamModel, prompt: int, answer: int
    ) -> None:
        """Note the tokens of a request: for its caller's usage, the metrics, and its line of the log."""
        dollars = model.price(prompt + answer)
        self.access.tokens[caller.id] += prompt + answer
        self.access.dollars[caller.id] += dollars
        self.metrics.tokens.labels(caller.id, model.name, "prompt").inc(prompt)
        self.metrics.tokens.labels(caller.id, model.name, "answer").inc(answer)
        self.metrics.dollars.labels(caller.id, model.name).inc(dollars)
        noted = noted_of(request)
        noted["model"] = model.name
        noted["prompt_tokens"] = noted.get("prompt_tokens", 0) + prompt
        noted["answer_tokens"] = noted.get("answer_tokens", 0) + answer


def noted_of(request: Request) -> dict[str, Any]:
    """Further keys of a request's line in the log."""
    return request.scope["state"].setdefault("noted", {})


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    return request.app.state.service
