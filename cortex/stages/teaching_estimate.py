"""Estimate of what a profile's teacher will cost, from its real prompts, before it is asked."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from cortex.domains.question import Conversation
from cortex.fleet.capacity.lengths import FILLED, usual_answer
from cortex.profiles.profile import Profile
from cortex.stages.teacher_endpoints import describe_provider
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.chat import Endpoint
from cortex.teaching.token_count import ASSUMPTION, count_tokens, mean
from cortex.teaching.usage import Price, Usage


@dataclass(frozen=True)
class ProviderCost:
    """Cost of all prompts at one provider, if it answers every one."""

    provider: str
    model: str
    in_cache: int
    """Prompts whose answer an earlier run has paid for."""
    prompt_tokens: int
    """Tokens of all prompts that are to be paid."""
    usual_answer: int
    longest_answer: int
    basis: str
    """Source of the usual answer's length."""
    dollars: Decimal | None
    """With usual answers; None where the profile has no price."""
    most_dollars: Decimal | None
    """With the longest answers."""
    minutes: float
    """Least time that the account's limits per minute leave; 0 without limits."""
    batch: bool = False
    """True for the cost in batches, which take up to a day; the provider's other row is for prompts asked alone."""


@dataclass(frozen=True)
class TeachingEstimate:
    """Costs per provider, in the profile's order."""

    profile: str
    prompts: int
    """Requests: each prompt counts once for each of its samples."""
    tests: int
    """Test questions among them, which are never trained on."""
    providers: tuple[ProviderCost, ...]
    counting: str = ASSUMPTION

    def to_json(self) -> dict[str, Any]:
        """The fields, dollars as numbers."""
        providers = [
            {key: float(value) if isinstance(value, Decimal) else value for key, value in asdict(each).items()}
            for each in self.providers
        ]
        return {**asdict(self), "providers": providers}


def estimate_teaching(
    profile: Profile, prompts: Sequence[Conversation], cache: AnswerCache | None, tests: Sequence[Conversation] = ()
) -> TeachingEstimate:
    """Estimate the cost of the prompts at each provider; answers in the cache cost nothing.

    `prompts` are asked for every sample, `tests` once; both with the system prompt, if the teacher gets one.
    """
    teacher = profile.teacher
    endpoints = [describe_provider(teacher, provider, "none") for provider in teacher.providers]
    requests = [(prompt, sample or None) for prompt in prompts for sample in range(teacher.samples)]
    requests += [(prompt, None) for prompt in tests]
    found: list[ProviderCost] = []
    for endpoint in endpoints:
        alone = _cost(endpoint, requests, cache if teacher.cache else None)
        if endpoint.batch:
            found.append(_in_batches(alone, endpoint.batch.share))
        found.append(alone)
    return TeachingEstimate(profile.name, len(requests), len(tests), tuple(found))


def _cost(
    endpoint: Endpoint, requests: Sequence[tuple[Conversation, int | None]], cache: AnswerCache | None
) -> ProviderCost:
    known = [cache.get(cache_key(endpoint, *request)) if cache else None for request in requests]
    unpaid = [prompt for (prompt, _), answer in zip(requests, known, strict=True) if answer is None]
    measured = mean(answer.usage.output for answer in known if answer and answer.usage)
    counted = [count_tokens(prompt) for prompt in unpaid]
    usual = round(measured) if measured else usual_answer(endpoint.max_tokens)
    basis = "mean of the answers in the cache" if measured else f"{FILLED:.0%} of teacher.max_tokens, assumed"
    price, total = endpoint.price, sum(counted)
    return ProviderCost(
        provider=endpoint.name,
        model=endpoint.model,
        in_cache=len(requests) - len(unpaid),
        prompt_tokens=total,
        usual_answer=usual,
        longest_answer=endpoint.max_tokens,
        basis=basis,
        dollars=_dollars(price, total, usual * len(unpaid)),
        most_dollars=_dollars(price, total, endpoint.max_tokens * len(unpaid)),
        minutes=_least_minutes(endpoint, len(unpaid), total),
    )


def _in_batches(alone: ProviderCost, share: Decimal) -> ProviderCost:
    """The same prompts in batches, which limits per minute do not count."""
    dollars = None if alone.dollars is None else alone.dollars * share
    most = None if alone.most_dollars is None else alone.most_dollars * share
    return replace(alone, dollars=dollars, most_dollars=most, minutes=0.0, batch=True)


def _dollars(price: Price | None, given: int, made: int) -> Decimal | None:
    return price.dollars(Usage(given, made)) if price else None


def _least_minutes(endpoint: Endpoint, requests: int, given: int) -> float:
    """Minutes by the limits; a request counts against the limit of tokens with the longest answer."""
    by_requests = requests / (endpoint.requests_per_minute or math.inf)
    return max(by_requests, (given + requests * endpoint.max_tokens) / (endpoint.tokens_per_minute or math.inf))
