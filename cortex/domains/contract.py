"""Check of a domain's contract: each promise is tried on examples that the domain builds."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.example_columns import check_examples, read_rows
from cortex.domains.question import Example, Question
from cortex.errors import CortexError, describe_fault
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
        except (_BrokenError, CortexError) as error:
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
    judge("teacher's script", lambda: _script(domain, frame, examples, seed))
    judge("baselines", lambda: _baselines(domain, frame))
    return found


class _BrokenError(Exception):
    """A promise is not kept."""


def _builds(domain: Domain, settings: Settings, seed: int, frames: list[pl.DataFrame]) -> str:
    frame = domain.build(seed, settings).examples
    check_examples(frame, domain.kind)
    frames.append(frame)
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(frame["split"].value_counts().iter_rows()))
    return f"{counts}; {frame['cluster'].n_unique():,} clusters, none in two splits"


def _repeats(domain: Domain, settings: Settings, seed: int, frame: pl.DataFrame) -> str:
    if not domain.build(seed, settings).examples.equals(frame):
        raise _BrokenError(f"seed {seed} gives other examples the second time: draw from `seed` alone")
    return "built twice"


def _keeps_truth(domain: Domain, examples: Sequence[Example]) -> str:
    if domain.truth_in_prompt:
        return "the truth is no secret here"
    texts = [(example, json.dumps(example.truth).strip('"')) for example in examples]
    long = [(example, text) for example, text in texts if len(text) > SHORT_TRUTH]
    shown = [example for example, text in long if any(text in message.content for message in example.messages)]
    if len(shown) > len(long) / 2:
        first = shown[0]
        raise _BrokenError(
            f"example {first.id!r} shows its truth {first.truth!r} in its prompt, as do most: leave it out, or set "
            "truth_in_prompt"
        )
    return f"in {len(shown)} of {len(long)} prompts" if long else f"not tried: truths are too short ({texts[0][1]!r})"


def _grades(domain: Domain, examples: Sequence[Example]) -> str:
    weights, began = domain.weights(), time.monotonic()
    for example in examples:
        for reply in _replies(domain, example):
            graded = domain.grade(example, reply)
            _check_graded(example, graded, weights)
            if domain.grade(example, reply) != graded:
                raise _BrokenError(f"example {example.id!r} is graded otherwise the second time")
    count = 2 * sum(1 for example in examples for _ in _replies(domain, example))
    rate = count / max(time.monotonic() - began, 1e-9)
    if rate < FASTEST_NEEDED:
        raise _BrokenError(f"{rate:.0f} grades a second: GRPO needs {FASTEST_NEEDED:.0f}")
    return f"{rate:,.0f} a second, all within 0 to 1"


def _check_graded(example: Example, graded: Graded, weights: dict[str, float]) -> None:
    if not 0 <= graded.loss <= 1:
        raise _BrokenError(f"example {example.id!r}: the loss is {graded.loss}, not from 0 to 1")
    wrong = next((name for name, value in graded.parts.items() if not 0 <= value <= 1), None)
    if wrong is not None:
        raise _BrokenError(f"example {example.id!r}: part {wrong!r} is {graded.parts[wrong]}, not from 0 to 1")
    if set(weights) != set(graded.parts):
        raise _BrokenError(f"grades have the parts {sorted(graded.parts)}, and weights are of {sorted(weights)}")


def _gold(domain: Domain, examples: Sequence[Example]) -> str:
    tried = 0
    for example in examples:
        known = domain.exemplars(example)
        if known is None:
            continue
        tried += 1
        gold = domain.grade(example, known.gold)
        if not gold.valid:
            raise _BrokenError(f"the gold answer to {example.id!r} cannot be read: {known.gold[:80]!r}")
        others = {"honest": known.honest, **known.gaming}
        better = [name for name, text in others.items() if text and domain.grade(example, text).loss < gold.loss]
        if better:
            raise _BrokenError(f"the gold answer to {example.id!r} loses {gold.loss:g}, more than the {better[0]} one")
    return f"loses least in {tried} examples" if tried else "not tried: the domain has no exemplars"


def _gaming(domain: Domain, examples: Sequence[Example]) -> str:
    names: set[str] = set()
    paid: dict[str, list[tuple[float, float]]] = {}
    for example in examples:
        known = domain.exemplars(example)
        if known is None or known.honest is None:
            continue
        honest = domain.reward(domain.grade(example, known.honest))
        for name, text in known.gaming.items():
            names.add(name)
            paid.setdefault(name, []).append((domain.reward(domain.grade(example, text)), honest))
    for name, pairs in paid.items():
        gamed, honest = (fmean(side) for side in zip(*pairs, strict=True))
        if gamed >= honest:
            raise _BrokenError(f"{name!r} is paid {gamed:.3f}, and an honest answer {honest:.3f}: it would be learned")
    return f"paid less than an honest one: {', '.join(sorted(names))}" if names else "not tried: none are named"


def _script(domain: Domain, frame: pl.DataFrame, examples: Sequence[Example], seed: int) -> str:
    replies = [domain.script(Question(example.id, example.messages), seed) for example in examples]
    fit = sum(
        domain.imitable(Question(example.id, example.messages), reply).grade == "accepted"
        for example, reply in zip(examples, replies, strict=True)
    )
    if not fit:
        raise _BrokenError("no scripted answer may be imitated, so a rehearsal would have no labels")
    loss = fmean(domain.grade(example, reply).loss for example, reply in zip(examples, replies, strict=True))
    train = frame.filter(pl.col("split") == "train")
    known = fmean(graded.loss for graded in domain.baselines(train, train.head(TRIED))[domain.scale.reference])
    if loss >= known:
        raise _BrokenError(
            f"the script loses {loss:.3f}, and the {domain.scale.reference} {known:.3f}: nothing could be learned of it"
        )
    return f"{fit} of {len(examples)} may be imitated; it loses {loss:.3f}, the {domain.scale.reference} {known:.3f}"


def _baselines(domain: Domain, frame: pl.DataFrame) -> str:
    train, test = (frame.filter(pl.col("split") == split) for split in ("train", "test"))
    found = domain.baselines(train, test)
    for name in (domain.scale.reference, *domain.scale.rivals):
        if name not in found:
            raise _BrokenError(f"`scale` names the baseline {name!r}, which is not among {sorted(found)}")
    short = next((name for name, graded in found.items() if len(graded) != len(test)), None)
    if short:
        raise _BrokenError(f"baseline {short!r} has {len(found[short])} grades for {len(test)} test examples")
    return ", ".join(f"{name} loses {fmean(one.loss for one in graded):.3f}" for name, graded in found.items())


def _replies(domain: Domain, example: Example) -> Iterator[str]:
    yield from ("", "no answer")
    known = domain.exemplars(example)
    if known:
        yield from (known.gold, *filter(None, [known.honest]), *known.gaming.values())
