"""Client of an endpoint that speaks the OpenAI chat protocol: one request, within limits of time and size."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, cast

import openai

from cortex.domains.question import Conversation
from cortex.teaching.completion import Completion, read_reply
from cortex.teaching.usage import Price
from cortex.text import harmless

REPLY_BYTES = 4 * 1024 * 1024
"""Maximum bytes of a reply. 100,000 tokens of reasoning, given twice and escaped, are about 1.5 MB."""


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


class ChatClient:
    """A client of one endpoint, to be entered before it is used."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # Redirects are not followed: most turn the POST into a GET, and their target must not get the key.
        http = _BoundedClient(follow_redirects=False)
        azure = endpoint.azure_version is not None
        # Azure's older interface takes the key in a header of its own, and reads a Bearer token as a login.
        headers: dict[str, Any] = {"api-key": endpoint.api_key, "Authorization": openai.Omit()} if azure else {}
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.url,
            api_key=endpoint.api_key,
            max_retries=0,
            http_client=http,
            default_headers=headers or None,
            default_query={"api-version": endpoint.azure_version} if azure else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def complete(self, prompt: Conversation, seed: int | None = None) -> Completion:
        """Send one request, and read the reply. Not every server uses the seed."""
        endpoint = self._endpoint
        newer = endpoint.length_key == "max_completion_tokens"
        try:
            async with asyncio.timeout(endpoint.reply_seconds):
                reply = await self._client.chat.completions.with_raw_response.create(
                    model=endpoint.model,
                    messages=cast(Any, [message._asdict() for message in prompt]),
                    temperature=openai.omit if endpoint.temperature is None else endpoint.temperature,
                    max_tokens=openai.omit if newer else endpoint.max_tokens,
                    max_completion_tokens=endpoint.max_tokens if newer else openai.omit,
                    top_p=openai.omit if endpoint.top_p is None else endpoint.top_p,
                    seed=openai.omit if seed is None else seed,
                )
        except openai.APIStatusError as error:
            response = error.response
            return read_reply(response.status_code, response.content, response.headers)
        except _OversizeError:
            return Completion("odd", reason=f"a reply of more than {REPLY_BYTES:,} bytes")
        except (TimeoutError, openai.APITimeoutError):
            return Completion("failing", reason=f"no whole reply within {endpoint.reply_seconds:g} s")
        except openai.APIConnectionError as error:
            causes = list(_causes(error))
            reason = next((harmless(cause, limit=200) for cause in reversed(causes) if str(cause).strip()), "")
            untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes)
            return Completion("denied" if untrusted else "failing", reason=reason)
        return read_reply(reply.status_code, reply.content, reply.headers)


class _OversizeError(openai.OpenAIError):
    """A reply is longer than `REPLY_BYTES`. OpenAI's client passes its own error types on unchanged, hence the base."""


class _BoundedClient(openai.DefaultAsyncHttpxClient):
    """An HTTP client that gives whole, bounded replies: OpenAI's client would read an error's body without end."""

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        del stream  # the whole reply is read here
        response = await super().send(request, stream=True, **options)
        body = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > REPLY_BYTES:
                    raise _OversizeError
        finally:
            await response.aclose()
        # The body is decompressed already, and must not be decoded by a charset that the reply names.
        dropped = ("content-encoding", "content-length", "content-type", "transfer-encoding")
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in dropped]
        return type(response)(response.status_code, headers=headers, content=bytes(body), request=request)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, the root last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
