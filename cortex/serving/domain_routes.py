"""Endpoints of the release's domains: the trained prompt is rendered, the answer kept to its form, read and checked."""

import asyncio
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, JsonValue, create_model

from cortex.domains.domain import Endpoint, Question, Reading
from cortex.errors import CortexError, DataError
from cortex.section import Items, Section
from cortex.serving.callers import Caller, DomainCaller
from cortex.serving.chat_routes import usage_of
from cortex.serving.refusals import Refusal, error_body
from cortex.serving.served_model import ServedModel
from cortex.serving.service import Service, noted_of, service_of
from cortex.text import harmless

AT_ONCE = 8
"""Requests of one batch that are asked at the same time."""

ModelName = Annotated[
    str | None, Query(max_length=200, description="The model that is to answer, by its name in `/v1/models`.")
]


class Gate(BaseModel):
    """One check of a reply. An answer is held back where a gate is not passed."""

    name: str
    passed: bool
    reasons: list[str] = []


class Usage(BaseModel):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    completion_tokens: int


class Evidence(BaseModel):
    """The judges' verdict on the trained model, out of sample."""

    skill_shown: bool
    reason: str


class Answered(BaseModel):
    """A model's answer to a domain's request. `answer` is null where a gate holds it back: to abstain is an answer."""

    request_id: str
    domain: str
    question: str
    """Name of the question, as in the ids of examples."""
    model: str
    copy_: str = Field(alias="copy", serialization_alias="copy")
    manifest: str
    """Digest of the release's manifest."""
    abstained: bool
    answer: dict[str, JsonValue] | None
    reasoning: str | None
    gates: list[Gate]
    evidence: Evidence
    usage: Usage


def domain_router(service: Service) -> APIRouter:
    """The routes of all models' domains: `/v1/<domain>`, `/v1/<domain>/batch`, and `/v1/forecast` for a market."""
    router = APIRouter(prefix="/v1", tags=["domains"])
    endpoints: dict[str, Endpoint] = {}
    for model in service.models.values():
        endpoints = {**model.release.endpoints, **endpoints}
    aliases = Counter(endpoint.alias for endpoint in endpoints.values())
    for name, endpoint in endpoints.items():
        _add(router, name, name, endpoint, service.settings.batch)
        if endpoint.alias and aliases[endpoint.alias] == 1 and endpoint.alias not in endpoints:
            _add(router, endpoint.alias, name, endpoint, service.settings.batch)
    return router


def _add(router: APIRouter, path: str, name: str, endpoint: Endpoint, most: int) -> None:
    several: Any = (Items[endpoint.request], Field(min_length=1, max_length=most))
    batch_type: Any = create_model(f"{endpoint.request.__name__}Batch", __base__=Section, requests=several)

    async def one(request: Request, body: Section, caller: DomainCaller, model: ModelName = None) -> Answered:
        return await _answer(request, name, body, caller, service_of(request).model_for(name, model))

    async def batch(
        request: Request, body: Any, caller: DomainCaller, model: ModelName = None
    ) -> list[Answered | dict[str, Any]]:
        turns, chosen = asyncio.Semaphore(AT_ONCE), service_of(request).model_for(name, model)

        async def answer(item: Section) -> Answered | dict[str, Any]:
            async with turns:
                try:
                    return await _answer(request, name, item, caller, chosen)
                except Refusal as refusal:
                    return error_body(refusal.status, refusal.message)

        return await asyncio.gather(*map(answer, body.requests))

    # FastAPI reads the bodies' types from here, and each domain has its own.
    one.__annotations__["body"], batch.__annotations__["body"] = endpoint.request, batch_type
    summary = f"Answers of the domain {name}"
    router.add_api_route(f"/{path}", one, methods=["POST"], summary=summary, name=f"{path}")
    router.add_api_route(
        f"/{path}/batch", batch, methods=["POST"], summary=f"{summary}, several at once", name=f"{path} in batches"
    )


async def _answer(request: Request, name: str, body: Section, caller: Caller, model: ServedModel) -> Answered:
    service = service_of(request)
    release, endpoint = model.release, model.release.endpoints[name]
    model.client.require_ready()
    try:
        question = await asyncio.to_thread(endpoint.question, body)
    except DataError as error:
        raise Refusal(422, str(error)) from error
    except CortexError as error:  # the gateway's own settings, such as a source's key
        raise Refusal(503, f"the domain's source cannot be used here: {error}") from error
    found = await model.client.chat(request, _asked(model, endpoint, question))
    usage = usage_of(found)
    service.account(request, caller, model, *usage)
    choice = found["choices"][0]
    reply = str(choice["message"].get("content") or "")
    if service.settings.log_prompts:
        noted_of(request).update(asked=question.text, answered=reply)
    verdict = release.verdicts[name]
    read, gates = _judged(endpoint, question, reply, cut=choice.get("finish_reason") == "length")
    if read is None:
        service.metrics.abstained.labels(name, model.name).inc()
    return Answered(
        request_id=request.state.request_id,
        domain=name,
        question=question.id,
        model=model.name,
        copy=release.copy,
        manifest=release.manifest,
        abstained=read is None,
        answer=dict(read.answer) if read else None,
        reasoning=read.reasoning if read else None,
        gates=gates,
        evidence=Evidence(skill_shown=verdict.skill_shown, reason=verdict.reason),
        usage=Usage(prompt_tokens=usage[0], completion_tokens=usage[1]),
    )


def _asked(model: ServedModel, endpoint: Endpoint, question: Question) -> dict[str, Any]:
    profile = model.release.profile
    asked: dict[str, Any] = {
        "model": model.name,
        "messages": [message._asdict() for message in question.messages],
        "temperature": 0,
        "max_tokens": profile.evaluate.max_new_tokens,
    }
    return {**asked, "structured_outputs": {"regex": endpoint.pattern}} if endpoint.pattern else asked


def _judged(endpoint: Endpoint, question: Question, reply: str, *, cut: bool) -> tuple[Reading | None, list[Gate]]:
    """The reading of a reply, None where it is held back; and the gates that it passed or did not."""
    gates = [Gate(name="whole", passed=not cut, reasons=["the answer was cut off at max_new_tokens"] if cut else [])]
    try:
        read = endpoint.read(reply)
        gates.append(Gate(name="readable", passed=True))
    except DataError as error:
        gates.append(Gate(name="readable", passed=False, reasons=[harmless(error, limit=300)]))
        return None, gates
    finding = endpoint.finding(question, reply)
    gates.append(Gate(name="grounded", passed=finding.grade != "rejected", reasons=list(finding.reasons)))
    return (read if all(gate.passed for gate in gates) else None), gates
