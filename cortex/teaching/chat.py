"""Client of an endpoint that speaks the OpenAI chat protocol: one request, within limits of time and size."""

from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any, Literal, Self

from cortex.domains.question import Conversation
from cortex.teaching.bounded_http import BoundedHttp, NoReplyError
from cortex.teaching.completion import Completion, read_reply
from cortex.teaching.usage import Price

CHAT = "/chat/completions"


@dataclass(frozen=True)
class BatchTerms:
    """A provider's batches: their price as a share of the usual one, and how they are asked."""

    share: Decimal
    requests: int
    """Most requests of a batch."""
    poll_seconds: float


@dataclass(frozen=True)
class Endpoint:
    """A server where a teacher or a trained model answers, and the parameters of requests to it."""

    url: str
    api_key: str
    model: str
    concurrency: int
    temperature: float | None
    """None leaves it to the server."""
    max_tokens: int
    patience_seconds: float = 900.0
    """Seconds without any answer after which the endpoint counts as gone."""
    reply_seconds: float = 600.0
    """Seconds that one whole reply may take: as long as OpenAI's client waits for the first byte."""
    top_p: float | None = None
    """None leaves it to the server."""
    role: str = "the teacher"
    """Name of the endpoint in messages."""
    section: str = "teacher"
    """The profile's section that describes it."""
    key_variable: str = "CORTEX_TEACHER_API_KEY"
    """Name of the environment variable that holds the key."""
    name: str = ""
    """Name of the provider, where there are several."""
    price: Price | None = None
    """None: the price is not known, and nothing is counted."""
    terms: str = ""
    """The provider's terms for its answers, as the profile states them."""
    length_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The parameter that limits an answer; OpenAI's reasoning models know the second alone."""
    azure_version: str | None = None
    """The `api-version` of an Azure deployment's address; None for an address that ends in /v1."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    batch: BatchTerms | None = None
    """Batches in which the prompts are asked first; None asks each alone."""


class ChatClient:
    """A client of one endpoint, to be entered before it is used."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._http = endpoint, open_http(endpoint)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def complete(self, prompt: Conversation, seed: int | None = None) -> Completion:
        """Send one request, and read the reply. Not every server uses the seed."""
        try:
            reply = await self._http.send("POST", CHAT, json=request_body(self._endpoint, prompt, seed))
        except NoReplyError as error:
            return error.completion
        return read_reply(reply.status, reply.body, reply.headers)


def open_http(endpoint: Endpoint) -> BoundedHttp:
    """A client for the endpoint's address, with its key; to be entered."""
    # Azure's older interface takes the key in a header of its own, and reads a Bearer token as a login.
    azure = endpoint.azure_version is not None
    headers = {"api-key": endpoint.api_key} if azure else {"Authorization": f"Bearer {endpoint.api_key}"}
    query = {"api-version": endpoint.azure_version} if endpoint.azure_version is not None else {}
    return BoundedHttp(endpoint.url, headers, endpoint.reply_seconds, query)


def request_body(endpoint: Endpoint, prompt: Conversation, seed: int | None) -> dict[str, Any]:
    """The body of a request; parameters that are None are left to the server."""
    given: dict[str, Any] = {
        "model": endpoint.model,
        "messages": [{"role": message.role, "content": message.content} for message in prompt],
        "temperature": endpoint.temperature,
        endpoint.length_key: endpoint.max_tokens,
        "top_p": endpoint.top_p,
        "seed": seed,
    }
    return {key: value for key, value in given.items() if value is not None}
