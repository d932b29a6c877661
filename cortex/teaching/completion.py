"""Reading of an endpoint's reply as an answer, a refusal, a truncation or a fault; it never raises.

Endpoints that "speak the OpenAI protocol" differ wherever OpenAI's own client does not test them: error objects come
with status 200, reasoning comes in fields of several names and shapes, proxies answer with HTML. This module assumes
nothing about a reply's shape.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Literal

from cortex.teaching.usage import Usage, read_usage
from cortex.text import harmless

Kind = Literal["answered", "truncated", "refused", "odd", "failing", "busy", "denied", "spent"]


@dataclass(frozen=True)
class Completion:
    """A reply as read.

    `answered`: the model finished. `truncated`: it was cut off. `refused`: it, or the endpoint, declines this prompt.
    `odd`: no completion, but worth a retry. `failing`: the server failed, at this prompt or at all. `busy`: it asks to
    wait. `denied`: it refuses this caller, whatever the prompt. `spent`: the budget had no room to
    ask it.
    """

    kind: Kind
    text: str = ""
    """The model's text, its reasoning within <think> tags."""
    reason: str = ""
    """Reason why there is no complete answer. It quotes the endpoint, and is safe to show."""
    retry_after: float = 0.0
    """Seconds that the endpoint asks to wait."""
    model: str = field(default="", compare=False)
    """Name of the model that answered, as the endpoint reports it."""
    usage: Usage | None = field(default=None, compare=False)
    """Tokens that the endpoint reports; None where it reports none."""
    provider: str = field(default="", compare=False)
    """Name of the provider that answered; empty where there is one endpoint, which has no name."""
    dollars: Decimal = field(default=Decimal(0), compare=False)
    """Cost of the reply to this run: nothing for an answer that an earlier run has paid for."""
    recalled: bool = field(default=False, compare=False)
    """True for an answer of an earlier run, from the cache."""
    batch: str = field(default="", compare=False)
    """The provider's id of the batch that the answer came in; empty for one that was asked alone."""


DENIED = frozenset({401, 402, 407})
"""Statuses about the caller's key or account. Others may be about one prompt: a filter's 400, a firewall's 403."""
BUSY = frozenset({429, 503, 529})
PASSING = frozenset({408, 409, 425})
"""Statuses below 500 that are temporary, by the rule of OpenAI's client."""
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""OpenAI's error codes for an empty account: they come with 429 or 400, and waiting does not help."""

CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
BROKEN_OFF = frozenset({"error", "abort", "aborted", "cancelled", "insufficient_system_resource", "network_error"})
"""Values of `finish_reason` of servers that failed midway: OpenRouter, vLLM, SGLang, Cohere, DeepSeek and Zhipu."""
FILTERED = frozenset({"content_filter", "refusal", "safety", "recitation", "prohibited_content", "blocklist", "spii"})
"""Values of `finish_reason` for a filtered answer: OpenAI's, and those that proxies pass on from other providers."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
"""Fields with reasoning beside the content, as DeepSeek, vLLM, OpenRouter and Ollama name them."""
_PART_TEXT = ("text", "thinking", "content", "reasoning", "summary", "value")
_NESTED = 4
"""Levels of parts within parts that are read; real ones have two."""

_QUOTED = 200
"""Characters of a foreign text that a reason quotes."""


def read_reply(status: int, body: bytes, headers: Mapping[str, str]) -> Completion:
    """Read an HTTP reply to a chat completion request. `headers` has lower-case names."""
    if 300 <= status < 400:
        target = harmless(headers.get("location", "nowhere"), limit=_QUOTED)
        return Completion("odd", reason=f"HTTP {status}, a redirect to {target}")
    reply = _parse(body)
    if not 200 <= status < 300:
        code, message = _read_error(reply)
        reason = f"HTTP {status}: {message or _quote(body)}"
        return Completion(_classify(status, code), reason=reason, retry_after=_read_retry_after(headers))
    if not isinstance(reply, dict):
        return Completion("odd", reason=f"no completion, but {_quote(body)}")
    model = reply.get("model")
    return replace(
        _read_choice(reply) or _read_fault(reply, body),
        model=harmless(model, limit=_QUOTED) if isinstance(model, str) else "",
        usage=read_usage(reply),
    )


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON can spell but UTF-8 files cannot hold, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_choice(reply: dict[str, Any]) -> Completion | None:
    """The first choice as a completion; None if it has neither a text nor a reason for its absence."""
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return None
    thoughts, said = _read_parts(message.get("content"))
    for key in REASONING_FIELDS:
        thoughts = thoughts if thoughts.strip() else "".join(_read_parts(message.get(key)))
    text = _rebuild(thoughts, said)
    finish = choice.get("finish_reason")
    ended = finish.lower() if isinstance(finish, str) else ""
    if ended in BROKEN_OFF:
        return Completion("failing", reason=f"finish_reason {ended}, in the middle of an answer")
    if ended in CUT_OFF:
        return Completion("truncated", text, f"finish_reason {ended}")
    if ended in FILTERED:
        return Completion("refused", text, f"finish_reason {ended}")
    refusal = message.get("refusal")
    if not said.strip() and isinstance(refusal, str) and refusal.strip():
        return Completion("refused", text, harmless(refusal, limit=_QUOTED))
    return Completion("answered", text) if text.strip() else None


def _read_fault(reply: dict[str, Any], body: bytes) -> Completion:
    """A reply of status 200 without a completion: an error object counts as its own status, where it has one."""
    choices = reply.get("choices")
    inner = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    code, message = _read_error({"error": reply.get("error") or inner.get("error")})
    if code == "content_filter":
        return Completion("refused", reason=message or code)
    kind = _classify(int(code), code) if code.isdecimal() and len(code) == 3 else "odd"
    if not message:
        return Completion("odd", reason=f"no completion, but {_quote(body)}")
    # A router's "denied" in a 200 comes from one upstream server: the next try may reach another.
    return Completion("odd" if kind == "denied" else kind, reason=f"an error with status 200: {message}")


def _classify(status: int, code: str) -> Kind:
    """The kind of a reply by its status, other than 2xx and 3xx, and its error code."""
    if status in DENIED or code in NO_CREDIT:
        return "denied"
    if status in BUSY:
        return "busy"
    if status in PASSING or 500 <= status < 600:
        return "failing"
    return "refused" if 400 <= status < 500 else "odd"


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, or an integer of thousands of digits
        return None


def _read_error(reply: Any) -> tuple[str, str]:
    """The code and the message of an error body, in the shapes of OpenAI, FastAPI and plain strings."""
    error = (reply.get("error") or reply) if isinstance(reply, dict) else None
    if isinstance(error, str):
        return "", harmless(error, limit=_QUOTED)
    if not isinstance(error, dict):
        return "", ""
    code = next((str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str | int)), "")
    said = (error.get(key) for key in ("message", "detail", "msg"))
    return code, harmless(next((text for text in said if isinstance(text, str)), ""), limit=_QUOTED)


def _read_parts(value: Any, depth: int = _NESTED) -> tuple[str, str]:
    """The reasoning and the answer in a content, which is a text, a part, or a list of parts."""
    if isinstance(value, str):
        return "", replace_surrogates(value)
    if depth and isinstance(value, list):
        pairs = [_read_parts(part, depth - 1) for part in value]
        return "".join(thoughts for thoughts, _ in pairs), "".join(said for _, said in pairs)
    if depth and isinstance(value, dict):
        text = next((value[key] for key in _PART_TEXT if isinstance(value.get(key), str | list | dict)), "")
        thoughts, said = _read_parts(text, depth - 1)
        kind = value.get("type")
        thinks = "thinking" in value or (isinstance(kind, str) and kind.startswith(("thinking", "reasoning")))
        return (thoughts + said, "") if thinks else (thoughts, said)
    return "", ""


def _rebuild(thoughts: str, said: str) -> str:
    """The text as the model wrote it, before its server took the reasoning out."""
    if "</think>" in said or not thoughts.strip():
        return said
    thoughts = thoughts.strip().removeprefix("<think>").removesuffix("</think>").strip()
    if "</think>" in thoughts:  # the server took the answer for a part of the reasoning
        return f"<think>{thoughts}{said}"
    return f"<think>{thoughts}</think>{said}"


def _read_retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, from a number or a date (RFC 9110, 10.2.3); 0 where neither is there.

    A date is compared with the reply's own `Date`: the server's clock may differ from this machine's.
    """
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            date, sent = parsedate_tz(value), parsedate_tz(headers.get("date", ""))
            seconds = mktime_tz(date) - (mktime_tz(sent) if sent else time.time()) if date else 0.0
        except (ValueError, OverflowError, IndexError, TypeError):  # dates that no calendar has
            return 0.0
    return max(0.0, seconds) if not math.isnan(seconds) else 0.0


def _quote(body: bytes) -> str:
    shown = harmless(body[: 4 * _QUOTED].decode("utf-8", "replace"), limit=_QUOTED)
    return f"{len(body):,} bytes: {shown}" if shown else "nothing"
