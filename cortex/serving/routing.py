"""The choice of the model that answers a domain's request, by the domain's rule, and an account of all it asked."""

import time
from dataclasses import dataclass, field
from urllib.parse import quote

from fastapi import Request
from pydantic import ValidationError

from cortex.domains.question import Question
from cortex.section import Section
from cortex.serving.answers import Answered, Asked, Route, Usage, answer_here
from cortex.serving.callers import Caller
from cortex.serving.feedback.consent import keep_answer
from cortex.serving.refusals import Refusal
from cortex.serving.route_rules import Escalate
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.service import Service, noted_of


@dataclass
class Routing:
    """One request of a domain on its way to the models."""

    service: Service
    request: Request
    caller: Caller
    domain: str
    body: Section
    with_view: bool = False
    """Add the answer for people."""
    place: int | None = None
    """Its place in a batch."""
    asked: list[Asked] = field(default_factory=list[Asked])
    replies: dict[str, tuple[Question, str]] = field(default_factory=dict[str, tuple[Question, str]])
    """The question as asked and the reply as it came, by the model of this machine."""

    async def answer(self, named: str | None) -> Answered:
        """The answer of the model that the request names, or that the domain's rule chooses.

        Raises:
            Refusal: 404 for a model that cannot be asked, or as the model's own.
        """
        begun = time.perf_counter()
        rule, reason = self.service.rules.get(self.domain), None
        if named is not None or rule is None:
            kind = "default" if named is None else "named"
            found = await self._ask(named)
        elif rule.escalate is not None:
            kind = "escalate"
            found, reason = await self._escalate(rule.escalate)
        elif rule.share is not None:
            kind = "share"
            found = await self._ask(rule.share.choose(self.domain, self.caller.id, self.request.state.request_id))
        else:
            kind = "fixed"
            found = await self._ask(rule.fixed)
        route = Route(rule=kind, arm=found.model, reason=reason, asked=self.asked)
        self._note(route, found, time.perf_counter() - begun)
        answered = found.model_copy(update={"route": route, "usage": self._usage(), "request_id": self._request_id()})
        self._keep(answered)
        return answered

    async def _escalate(self, rule: Escalate) -> tuple[Answered, str | None]:
        """The answer of the large model where the small one's is not enough, and the reason."""
        first = await self._ask(rule.first)
        reason = rule.reason(first.uncertainty, held_back=first.abstained)
        if reason is None:
            return first, None
        try:
            return await self._ask(rule.then), reason
        except Refusal as refusal:
            if refusal.status == 499:
                raise
            return first, f"{reason}; {rule.then} could not be asked: {refusal.message}"

    async def _ask(self, name: str | None) -> Answered:
        """Ask one model, and note what it took."""
        model = self.service.model_for(self.domain, name)
        if isinstance(model, ServedModel):
            told = self.replies

            def on_reply(question: Question, reply: str) -> None:
                told[model.name] = (question, reply)

            found = await answer_here(
                self.request,
                self.service,
                self.caller,
                model,
                self.domain,
                self.body,
                on_reply,
                with_view=self.with_view,
            )
        else:
            found = await self._ask_upstream(model)
        usage = found.usage
        dollars = model.price(usage.prompt_tokens + usage.completion_tokens)
        self.asked.append(Asked(model=model.name, dollars=dollars, **usage.model_dump()))
        return found

    async def _ask_upstream(self, model: UpstreamModel) -> Answered:
        path = f"/v1/{quote(self.domain, safe='')}?model={quote(model.there, safe='')}"
        path += "&view=true" if self.with_view else ""
        raw = await model.client.post(self.request, path, self.body.model_dump(mode="json", exclude_unset=True))
        try:
            found = Answered.model_validate(raw)
        except ValidationError as error:
            raise Refusal(502, f"{model.name} is behind no gateway of this kind: its answer cannot be read") from error
        usage = found.usage
        self.service.account(self.request, self.caller, model, usage.prompt_tokens, usage.completion_tokens)
        if found.abstained:
            self.service.metrics.abstained.labels(self.domain, model.name).inc()
        return found.model_copy(update={"model": model.name, "request_id": self.request.state.request_id})

    def _request_id(self) -> str:
        own = self.request.state.request_id
        return own if self.place is None else f"{own}.{self.place}"

    def _keep(self, answered: Answered) -> None:
        """Keep the answer that the caller gets, where it allows it, unless it came from another gateway."""
        model = self.service.models.get(answered.model)
        if model is not None and answered.model in self.replies:
            question, reply = self.replies[answered.model]
            keep_answer(
                self.service.feedback,
                self.request,
                self.caller,
                model,
                name=answered.request_id,
                domain=self.domain,
                arm=f"{answered.route.rule} {answered.route.arm}" if answered.route else None,
                question=question,
                reply=reply,
            )

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=sum(one.prompt_tokens for one in self.asked),
            completion_tokens=sum(one.completion_tokens for one in self.asked),
        )

    def _note(self, route: Route, found: Answered, seconds: float) -> None:
        """Record the arm: in the metrics, and in the request's line of the log, which has one entry for each answer."""
        labels = (self.domain, route.rule, route.arm)
        self.service.metrics.routed.labels(*labels).inc()
        self.service.metrics.arm_seconds.labels(*labels).observe(seconds)
        noted = noted_of(self.request).setdefault("routes", [])
        noted.append(
            {
                "domain": self.domain,
                "rule": route.rule,
                "arm": route.arm,
                "asked": [one.model for one in self.asked],
                "abstained": found.abstained,
                "uncertainty": found.uncertainty,
                "dollars": sum(one.dollars for one in self.asked),
                **({"reason": route.reason} if route.reason else {}),
            }
        )
