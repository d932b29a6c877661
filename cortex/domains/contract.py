"""Check of a domain's contract: each promise is tried on examples that the domain builds."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from cortex.domains.adversary import BrokenPromiseError, cheats_pay_less, honest_replies, truth_pays
from cortex.domains.domain import Domain
from cortex.domains.episode import Dialogue, hold
from cortex.domains.example_columns import check_examples, read_rows
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.reward_parts import check_values
from cortex.errors import CortexError, DataError, describe_fault
from cortex.evaluation.graded import Graded
from cortex.settings import Settings

TRIED = 200
"""Number of training examples on which promises are tried."""

SHORT_TRUTH = 3
"""Length up to which a truth may occur in a prompt by chance, such as a digit or a move."""

FASTEST_NEEDED = 200.0
"""Minimum grades a second: GRPO judges some hundred answers a step."""


@dataclass(frozen=True)
class Kept:
    """One promise, and whether it was kept."""

    name: str
    kept: bool
    detail: str


def check_domain(domain: Domain, settings: Settings, seed: int = 0) -> list[Kept]:
    """Try every promise of a domain's contract. If no examples can be built, the other promises are not tried."""
    found: list[Kept] = []

    def judge(name: str, promise: Callable[[], str]) -> bool:
        try:
            found.append(Kept(name, True, promise()))
        except (BrokenPromiseError, CortexError) as error:
            found.append(Kept(name, False, str(error)))
        except Exception as error:  # the code is its author's, and may raise anything
            found.append(Kept(name, False, describe_fault(error)))
        return found[-1].kept

    frames: list[pl.DataFrame] = []
    if not judge("builds", lambda: _builds(domain, settings, seed, frames)):
        return found
    [frame] = frames
    examples = list(read_rows(frame.filter(pl.col("split") == "train").head(TRIED)))
    judge("equal seeds, equal examples", lambda: _repeats(domain, settings, seed, frame))
    judge("truth kept apart", lambda: _keeps_truth(domain, examples))
    judge("grades", lambda: _grades(domain, examples))
    judge("gold answer", lambda: _gold(domain, examples))
    judge("gaming answers", lambda: _gaming(domain, examples))
    judge("cheats", lambda: cheats_pay_less(domain, examples))
    judge("truth-telling", lambda: truth_pays(domain, examples, seed))
    judge("teacher's script", lambda: _script(domain, frame, examples, seed))
    judge("baselines", lambda: _baselines(domain, frame))
    return found


def _builds(domain: Domain, settings: Settings, seed: int, frames: list[pl.DataFrame]) -> str:
    frame = domain.build(seed, settings).examples
    check_examples(frame, domain.kind)
    frames.append(frame)
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(frame["split"].value_counts().iter_rows()))
    return f"{counts}; {frame['cluster'].n_unique():,} clusters, none in two splits"


def _repeats(domain: Domain, settings: Settings, seed: int, frame: pl.DataFrame) -> str:
    if not domain.build(seed, settings).examples.equals(frame):
        raise BrokenPromiseError(f"seed {seed} gives other examples the second time: draw from `seed` alone")
    return "built twice"


def _keeps_truth(domain: Domain, examples: Sequence[Example]) -> str:
    if domain.truth_in_prompt:
        return "the truth is no secret here"
    texts = [(example, json.dumps(example.truth).strip('"')) for example in examples]
    long = [(example, text) for example, text in texts if len(text) > SHORT_TRUTH]
    shown = [example for example, text in long if any(text in message.content for message in example.messages)]
    if len(shown) > len(long) / 2:
        first = shown[0]
        raise BrokenPromiseError(
            f"example {first.id!r} shows its truth {first.truth!r} in its prompt, as do most: leave it out, or set "
            "truth_in_prompt"
        )
    return f"in {len(shown)} of {len(long)} prompts" if long else f"not tried: truths are too short ({texts[0][1]!r})"


def _grades(domain: Domain, examples: Sequence[Example]) -> str:
    began = time.monotonic()
    for example in examples:
        for reply in _replies(domain, example):
            graded = domain.grade(example, reply)
            _check_graded(domain, example, graded)
            if domain.grade(example, reply) != graded:
                raise BrokenPromiseError(f"example {example.id!r} is graded otherwise the second time")
    count = 2 * sum(1 for example in examples for _ in _replies(domain, example))
    rate = count / max(time.monotonic() - began, 1e-9)
    if rate < FASTEST_NEEDED:
        raise BrokenPromiseError(f"{rate:.0f} grades a second: GRPO needs {FASTEST_NEEDED:.0f}")
    undocumented = next((part.name for part in domain.reward_parts() if not part.formula.strip()), None)
    if undocumented is not None:
        raise BrokenPromiseError(f"part {undocumented!r} of the reward has no formula: say what it pays")
    return f"{rate:,.0f} a second, all within their bounds"


def _check_graded(domain: Domain, example: Example, graded: Graded) -> None:
    if not 0 <= graded.loss <= 1:
        raise BrokenPromiseError(f"example {example.id!r}: the loss is {graded.loss}, not from 0 to 1")
    try:
        check_values(str(domain.kind), domain.reward_parts(), graded.parts)
    except DataError as error:
        raise BrokenPromiseError(f"example {example.id!r}: {error}") from error


def _gold(domain: Domain, examples: Sequence[Example]) -> str:
    tried = 0
    honest = honest_replies(domain, examples) or [""] * len(examples)
    for example, mediocre in zip(examples, honest, strict=True):
        known = domain.exemplars(example)
        if known is None:
            continue
        tried += 1
        gold = domain.grade(example, known.gold)
        if not gold.valid:
            raise BrokenPromiseError(f"the gold answer to {example.id!r} cannot be read: {known.gold[:80]!r}")
        for name, text in {"honest": mediocre, **known.gaming}.items():
            graded = domain.grade(example, text)
            if graded.loss < gold.loss:
                raise BrokenPromiseError(f"the gold answer to {example.id!r} loses {gold.loss:g}, more than {name!r}")
            if domain.reward(graded) > domain.reward(gold):
                raise BrokenPromiseError(f"the gold answer to {example.id!r} is paid less than {name!r}")
    return f"loses least in {tried} examples" if tried else "not tried: the domain has no exemplars"


def _gaming(domain: Domain, examples: Sequence[Example]) -> str:
    paid: dict[str, list[tuple[float, float]]] = {}
    for example, text in zip(examples, honest_replies(domain, examples), strict=False):
        known = domain.exemplars(example)
        if known is None:
            continue
        honest = domain.reward(domain.grade(example, text))
        for name, gaming in known.gaming.items():
            paid.setdefault(name, []).append((domain.reward(domain.grade(example, gaming)), honest))
    for name, pairs in paid.items():
        gamed, honest = (fmean(side) for side in zip(*pairs, strict=True))
        if gamed >= honest:
            raise BrokenPromiseError(
                f"{name!r} is paid {gamed:.3f}, and an honest answer {honest:.3f}: it would be learned"
            )
    return f"paid less than an honest one: {', '.join(sorted(paid))}" if paid else "not tried: none are named"


def _script(domain: Domain, frame: pl.DataFrame, examples: Sequence[Example], seed: int) -> str:
    def play(prompts: Sequence[Conversation]) -> list[str]:
        return [domain.script(Question("", prompt), seed) for prompt in prompts]

    held = hold([Dialogue(example.messages, domain.episode(example)) for example in examples], play)
    fit = sum(
        domain.imitable(Question(example.id, example.messages), turns[-1].content).grade == "accepted"
        for example, turns in zip(examples, held, strict=True)
    )
    if not fit:
        raise BrokenPromiseError("no scripted answer may be imitated, so a rehearsal would have no labels")
    loss = fmean(domain.grade_turns(example, turns).loss for example, turns in zip(examples, held, strict=True))
    train = frame.filter(pl.col("split") == "train")
    known = fmean(graded.loss for graded in domain.baselines(train, train.head(TRIED))[domain.scale.reference])
    if loss >= known:
        raise BrokenPromiseError(
            f"the script loses {loss:.3f}, and the {domain.scale.reference} {known:.3f}: nothing could be learned of it"
        )
    return f"{fit} of {len(examples)} may be imitated; it loses {loss:.3f}, the {domain.scale.reference} {known:.3f}"


def _baselines(domain: Domain, frame: pl.DataFrame) -> str:
    train, test = (frame.filter(pl.col("split") == split) for split in ("train", "test"))
    found = domain.baselines(train, test)
    for name in (domain.scale.reference, *domain.scale.rivals):
        if name not in found:
            raise BrokenPromiseError(f"`scale` names the baseline {name!r}, which is not among {sorted(found)}")
    short = next((name for name, graded in found.items() if len(graded) != len(test)), None)
    if short:
        raise BrokenPromiseError(f"baseline {short!r} has {len(found[short])} grades for {len(test)} test examples")
    return ", ".join(f"{name} loses {fmean(one.loss for one in graded):.3f}" for name, graded in found.items())


def _replies(domain: Domain, example: Example) -> Iterator[str]:
    yield from ("", "no answer")
    known = domain.exemplars(example)
    if known:
        yield from (known.gold, *known.gaming.values())
