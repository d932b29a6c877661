"""OpenAI's chat completions and list of models, handed on to the engine within limits."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from cortex.serving.callers import ChatCaller
from cortex.serving.feedback.consent import chat_keeper
from cortex.serving.refusals import Refusal
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.service import Service, service_of

router = APIRouter(prefix="/v1", tags=["openai"])


TokenId = Annotated[str, Field(pattern=r"^[0-9]{1,7}$")]
"""A token's number, as a key of JSON."""


class TextPart(BaseModel):
    """Text of a message."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str | list[TextPart]


class StreamOptions(BaseModel):
    """Options of a stream."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The parameters of OpenAI's chat completions that an engine may be asked for. Any other is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str = Field(max_length=200)
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    n: int | None = Field(default=None, ge=1, le=8)
    stop: str | list[str] | None = Field(default=None, max_length=16)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    logit_bias: (
        dict[Annotated[str, Field(pattern=r"^[0-9]{1,7}$")], Annotated[float, Field(ge=-100, le=100)]] | None
    ) = None
    response_format: dict[str, Any] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = Field(default=None, max_length=200)


@router.get("/models")
async def models(request: Request, _: ChatCaller) -> dict[str, Any]:
    """The models that are served, the default first."""
    return {"object": "list", "data": [_entry(model) for model in service_of(request).everyone.values()]}


@router.post("/chat/completions", response_model=None)
async def chat(request: Request, body: ChatRequest, caller: ChatCaller) -> Response:
    """An answer of the named model to a conversation, whole or as a stream of events."""
    service = service_of(request)
    model = service.model(body.model)
    asked = _within_limits(body, service) | {"model": model.there}

    def on_usage(prompt: int, answer: int) -> None:
        service.account(request, caller, model, prompt, answer)

    on_replies = chat_keeper(service.feedback, request, caller, model, asked)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        return await model.client.stream(asked, on_usage, with_usage=with_usage, on_replies=on_replies)
    found = await model.client.chat(request, asked)
    on_usage(*usage_of(found))
    if on_replies:
        on_replies([str(choice["message"].get("content") or "") for choice in found["choices"]])
    return JSONResponse(found)


@router.get("/usage")
async def usage(request: Request, caller: ChatCaller) -> dict[str, Any]:
    """The caller's tokens since this gateway started, and their price."""
    service = service_of(request)
    return {"tokens": service.access.tokens[caller.id], "dollars": service.access.dollars[caller.id]}


def usage_of(answer: dict[str, Any]) -> tuple[int, int]:
    """Tokens of the prompt and of the answer, as the engine counts them."""
    usage = answer.get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


def _entry(model: ServedModel | UpstreamModel) -> dict[str, Any]:
    """A model's entry in the list."""
    entry: dict[str, Any] = {"id": model.name, "object": "model", "created": 0, "owned_by": "cortex"}
    if isinstance(model, UpstreamModel):
        return entry
    release = model.release
    return {
        **entry,
        "copy": release.copy,
        "manifest": release.manifest,
        "signer": release.signer,
        "domains": list(release.endpoints),
    }


def _within_limits(body: ChatRequest, service: Service) -> dict[str, Any]:
    """The request for the engine, which was started with the limit of tokens for requests that name none."""
    most = service.settings.max_tokens
    wanted = body.max_completion_tokens or body.max_tokens
    if wanted and wanted > most:
        raise Refusal(400, f"max_tokens is {wanted}: at most {most} are given")
    asked = body.model_dump(exclude_none=True, exclude={"max_completion_tokens", "stream", "stream_options", "user"})
    return {**asked, "max_tokens": wanted} if wanted else asked
