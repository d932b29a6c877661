"""Answers to domains' requests: the trained prompt is rendered, the reply kept to its form, read and checked."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import Request
from pydantic import BaseModel, Field, JsonValue

from cortex.domains.endpoint import Endpoint, Reading
from cortex.domains.question import Conversation, Question
from cortex.domains.view import View
from cortex.errors import CortexError, DataError
from cortex.section import Section
from cortex.serving.callers import Caller
from cortex.serving.chat_routes import usage_of
from cortex.serving.refusals import Refusal
from cortex.serving.served_dialogue import converse
from cortex.serving.served_model import ServedModel
from cortex.serving.service import Service, noted_of
from cortex.text import harmless


class Gate(BaseModel):
    """One check of a reply. An answer is held back where a gate is not passed."""

    name: str
    passed: bool
    reasons: list[str] = []


class Usage(BaseModel):
    """Tokens as the engine counts them."""

    prompt_tokens: int
    completion_tokens: int


class Turn(BaseModel):
    """One turn of a dialogue."""

    role: str
    content: str


class Evidence(BaseModel):
    """The judges' verdict on the trained model, out of sample."""

    skill_shown: bool
    reason: str


class Asked(Usage):
    """A model that was asked for an answer, and what it took."""

    model: str
    dollars: float


class Route(BaseModel):
    """The choice of the model that answered."""

    rule: str
    """`fixed`, `share` or `escalate` by the routes file, `named` by the request, `default` where there is no rule."""
    arm: str
    """The model whose answer this is."""
    reason: str | None = None
    """The reason why a second model was asked, or why it was not."""
    asked: list[Asked]
    """All models that were asked, in their order."""


class Answered(BaseModel):
    """A model's answer to a domain's request. `answer` is null where a gate holds it back: to abstain is an answer."""

    request_id: str
    """Id of the request; in a batch, with a dot and the place in it. Feedback names it."""
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
    uncertainty: float | None = None
    """0 is certain, 1 knows nothing; null where the domain states none, or the answer is held back."""
    gates: list[Gate]
    evidence: Evidence
    usage: Usage
    """Tokens of all models that were asked."""
    turns: list[Turn] | None = None
    """All turns after the question, calls of tools and their results among them; null where there is one."""
    route: Route | None = None
    view: View | None = None
    """The answer for people, where it is asked for."""


OnReply = Callable[[Question, str], None]
"""A function that takes a question and its reply."""


async def answer_here(
    request: Request,
    service: Service,
    caller: Caller,
    model: ServedModel,
    name: str,
    body: Section,
    on_reply: OnReply,
    *,
    with_view: bool = False,
) -> Answered:
    """The answer of a model of this machine to a request of the domain `name`.

    `on_reply` gets the question as it was asked, and the reply as it came.

    Raises:
        Refusal: 422 for what the domain does not have, 503 for a source that cannot be used, or as the engine's client.
    """
    release, endpoint = model.release, model.release.endpoints[name]
    model.client.require_ready()
    try:
        question = await asyncio.to_thread(endpoint.question, body)
    except DataError as error:
        raise Refusal(422, str(error)) from error
    except CortexError as error:  # the gateway's own settings, such as a source's key
        raise Refusal(503, f"the domain's source cannot be used here: {error}") from error

    async def ask(prompt: Conversation) -> dict[str, Any]:
        found = await model.client.chat(request, _asked(model, endpoint, prompt))
        service.account(request, caller, model, *usage_of(found))
        return found

    spoken = await converse(question, endpoint.episode(question), ask)
    reply = spoken.reply
    if len(spoken.turns) == 1:  # the last of several, alone, would teach a model to answer without looking
        on_reply(question, reply)
    if service.settings.log_prompts:
        noted_of(request).update(asked=question.text, answered=reply)
    judged = release.judged[name]
    verdict = judged.evaluation.verdict
    read, gates = _judged(endpoint, question, reply, cut=spoken.cut)
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
        uncertainty=read.uncertainty if read else None,
        gates=gates,
        evidence=Evidence(skill_shown=verdict.skill_shown, reason=verdict.reason),
        usage=Usage(prompt_tokens=spoken.prompt_tokens, completion_tokens=spoken.completion_tokens),
        turns=[Turn(**turn._asdict()) for turn in spoken.turns] if len(spoken.turns) > 1 else None,
        view=await asyncio.to_thread(endpoint.view, body, read, judged) if with_view else None,
    )


def _asked(model: ServedModel, endpoint: Endpoint, prompt: Conversation) -> dict[str, Any]:
    profile = model.release.profile
    asked: dict[str, Any] = {
        "model": model.name,
        "messages": [message._asdict() for message in prompt],
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
