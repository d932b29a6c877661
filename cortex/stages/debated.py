"""Debates of a model about the test questions, or its answers at once, as one more contender."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.debate import Debate
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Example
from cortex.models.sampling import Answers, Asked, SampledModel
from cortex.models.stored_answers import Request, sample_requests
from cortex.runs.context import RunContext

Count = Callable[[Sequence[Conversation], Sequence[str]], NDArray[np.int64]]
"""Takes prompts and the replies to them; returns the tokens of each (N x 2)."""


@dataclass(frozen=True)
class Debated:
    """One domain's debates about N questions."""

    replies: list[str]
    """The debates' replies (N)."""
    requests: list[list[tuple[Conversation, str]]]
    """Every prompt of each debate with the reply to it (N x R)."""

    def tokens(self, count: Count) -> NDArray[np.int64]:
        """Tokens of each debate's prompts and of its replies, over all of its requests (N x 2)."""
        prompts = [prompt for debate in self.requests for prompt, _ in debate]
        replies = [reply for debate in self.requests for _, reply in debate]
        return count(prompts, replies).reshape(len(self.requests), -1, 2).sum(axis=1)


class Debates:
    """All domains' debates of one run. Nothing is asked where there are none."""

    def __init__(
        self, context: RunContext, tests: Mapping[str, pl.DataFrame], offered: Mapping[str, Debate | None]
    ) -> None:
        """`tests` and `offered` have each domain's test questions and its form of debate."""
        self._context = context
        evaluate = context.profile.evaluate
        self._asked = Asked(max_tokens=evaluate.max_new_tokens, seed=context.profile.seed)
        self._held: list[tuple[str, Debate, Example]] = [
            (name, debate, example) for name, debate in offered.items() if debate for example in read_rows(tests[name])
        ]
        self._opened = [debate.begin(example) for _, debate, example in self._held]

    def openings(self, model: SampledModel) -> list[Request]:
        """The request for the first roles' replies; none where there is no debate."""
        prompts = [prompt for roles in self._opened for prompt in roles.values()]
        return [Request(model, prompts, self._asked)] if prompts else []

    def hold(self, model: SampledModel, opened: Sequence[Answers]) -> dict[str, Debated]:
        """Ask for the last words, given the answers to `openings`, and conclude; by domain.

        Raises as `sample_requests`.
        """
        if not self._held:
            return {}
        texts = iter([first for first, *_ in opened[0]] if opened else [])
        said = [{role: next(texts) for role in roles} for roles in self._opened]
        closing = [debate.close(example, each) for (_, debate, example), each in zip(self._held, said, strict=True)]
        gpus = self._context.profile.hardware.gpus_to_evaluate
        [answers] = sample_requests(self._context, "evaluate", [Request(model, closing, self._asked)], gpus=gpus)
        found: dict[str, Debated] = {}
        for at, (name, debate, _) in enumerate(self._held):
            own, last = found.setdefault(name, Debated([], [])), answers[at][0]
            own.replies.append(debate.conclude(said[at], last))
            own.requests.append([*zip(self._opened[at].values(), said[at].values(), strict=True), (closing[at], last)])
        return found
