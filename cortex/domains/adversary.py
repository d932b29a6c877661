"""Two promises of a reward: no cheat pays more than an honest, mediocre answer, no statement more than the truth.

Both are tried through the whole weighted reward. An honest, mediocre answer knows how often each truth occurs among the
examples that are tried, and no more: no constant answer can be better than it by luck.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from cortex.domains.cheats import cheats
from cortex.domains.domain import Domain
from cortex.domains.question import Example, Question

ROUNDING = 1e-4
"""Reward, as a share of all weights, that an honest statement may lose by the rounding of its form: a probability in
whole percents loses a quarter of it."""

TRIED = 16
"""Examples on which cheats are tried."""
POOL = 12
"""Examples that a belief is about."""
BELIEFS = 8
"""Beliefs that are drawn."""

Shares = Sequence[float]


class BrokenPromiseError(Exception):
    """A promise of a domain's contract is not kept; the message says where."""


def honest_replies(domain: Domain, examples: Sequence[Example]) -> list[str]:
    """An honest, mediocre reply to each example, whose truth it does not know; none where the domain writes none."""
    believed = [(example, 1 / len(examples)) for example in examples]
    found = [domain.honest_reply(_question(example), believed) for example in examples]
    return [text for text in found if text is not None] if None not in found else []


def cheats_pay_less(domain: Domain, examples: Sequence[Example]) -> str:
    """Check that no cheat is paid more, on average, than an honest, mediocre answer to the same questions.

    Raises:
        BrokenPromiseError: one is; the message has the cheat, what it is paid, and an example.
    """
    examples = examples[:TRIED]
    honest = honest_replies(domain, examples)
    if not honest:
        return "not tried: the domain has no honest_reply"
    paid: dict[tuple[str, int], list[float]] = defaultdict(list)
    texts: dict[tuple[str, int], str] = {}
    for at, (example, reply) in enumerate(zip(examples, honest, strict=True)):
        for kind, replies in cheats(example.text, reply, honest[at - 1]).items():
            for way, text in enumerate(replies):
                paid[kind, way].append(_reward(domain, example, text))
                texts.setdefault((kind, way), text)
    earned = fmean(_reward(domain, example, reply) for example, reply in zip(examples, honest, strict=True))
    slack = ROUNDING * _scale(domain)
    for key, rewards in paid.items():
        if len(rewards) == len(examples) and fmean(rewards) > earned + slack:
            raise BrokenPromiseError(
                f"the cheat {key[0]!r} is paid {fmean(rewards):.4f}, and an honest, mediocre answer {earned:.4f}: it "
                f"would be learned; to {examples[0].id!r} it is {texts[key][:120]!r}"
            )
    return f"{len(paid)} cheats of {len({kind for kind, _ in paid})} kinds are paid {earned:.3f} at most, as is honesty"


def truth_pays(domain: Domain, examples: Sequence[Example], seed: int) -> str:
    """Check for some beliefs, drawn by `seed`, that no statement is expected to be paid more than the belief itself.

    Raises:
        BrokenPromiseError: one is; the message has both expected rewards.
    """
    draw = random.Random(seed)
    pool = draw.sample(examples, min(POOL, len(examples)))
    if not honest_replies(domain, pool):
        return "not tried: the domain has no honest_reply"
    for _ in range(BELIEFS):
        shares = _normal([draw.random() ** draw.choice((1, 8)) for _ in pool])
        for stated in _others(shares, draw):
            check_truth(domain, pool, shares, stated)
    return f"{BELIEFS} beliefs about {len(pool)} examples are best stated as they are"


def check_truth(domain: Domain, pool: Sequence[Example], shares: Shares, stated: Shares | None) -> None:
    """Check that someone whose belief is `shares` over the pool is not expected to be paid more for stating `stated`.

    None states nothing. Raises BrokenPromiseError if so.
    """
    truth, other = expected_reward(domain, pool, shares, shares), expected_reward(domain, pool, shares, stated)
    if other > truth + ROUNDING * _scale(domain):
        told = "nothing" if stated is None else "another belief"
        raise BrokenPromiseError(
            f"stating {told} is expected to be paid {other:.4f}, and the belief itself {truth:.4f}: the truth would be "
            "unlearned"
        )


def expected_reward(domain: Domain, pool: Sequence[Example], shares: Shares, stated: Shares | None) -> float:
    """Expected reward of a statement, by someone's belief: `shares` are the probabilities of the pool's examples."""
    believed = None if stated is None else list(zip(pool, stated, strict=True))
    return sum(
        share * _reward(domain, example, (domain.honest_reply(_question(example), believed) if believed else "") or "")
        for example, share in zip(pool, shares, strict=True)
        if share
    )


def _others(shares: Shares, draw: random.Random) -> list[Shares | None]:
    """Statements other than a belief: sharper, flatter, none at all, the opposite, certainties, and a drawn one."""
    count, likeliest = len(shares), max(range(len(shares)), key=shares.__getitem__)
    certain = [[float(at == one) for at in range(count)] for one in (likeliest, draw.randrange(count))]
    return [
        _normal([share**2 for share in shares]),
        _normal([share**0.5 for share in shares]),
        [1 / count] * count,
        _normal([1.01 * max(shares) - share for share in shares]),
        *certain,
        _normal([draw.random() for _ in shares]),
        None,
    ]


def _normal(weights: Shares) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]


def _question(example: Example) -> Question:
    return Question(example.id, example.messages)


def _reward(domain: Domain, example: Example, reply: str) -> float:
    return domain.reward(domain.grade(example, reply))


def _scale(domain: Domain) -> float:
    return sum(abs(weight) for weight in domain.weights().values())
