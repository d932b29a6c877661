"""Further questions to the judged model, in the same loading of its weights, and the replies to them, sorted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from cortex.domains.dataset import read_split
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.domains.probe import Probe
from cortex.domains.probe_rows import spread_rows
from cortex.domains.question import Conversation, Example
from cortex.models.sampling import Answers, Asked, SampledModel
from cortex.models.stored_answers import Request
from cortex.probing.chapters import Probed
from cortex.probing.probe_replies import ProbeReplies
from cortex.runs.context import RunContext


@dataclass(frozen=True)
class _Plan:
    domain: Domain
    train: pl.DataFrame
    test: pl.DataFrame
    probes: Sequence[Probe]
    repeated: list[Example]


class FurtherQuestions:
    """All domains' probes of one run. Nothing is asked where the profile asks for none."""

    def __init__(self, context: RunContext, tests: Mapping[str, pl.DataFrame]) -> None:
        self._profile = context.profile
        self._counts = context.profile.evaluate.probes
        self._plans: dict[str, _Plan] = {}
        if not (self._counts.asks_any or context.profile.evaluate.cutoff):
            return
        data, whole = context.artifact("data").path, context.profile.domain
        for name, domain in whole.parts().items():
            train, test = read_split(data, "train", narrow=partial(whole.rows_of, name)), tests[name]
            probes = domain.probes(train, test, self._counts, context.profile.seed)
            repeated = list(read_rows(spread_rows(test, self._counts.repeated)))
            self._plans[name] = _Plan(domain, train, test, probes, repeated)

    def requests(self, judged: SampledModel, base: SampledModel) -> list[Request]:
        """Questions to the judged model and to the base; of a model that answers nothing there is no request."""
        evaluate, counts = self._profile.evaluate, self._counts
        once = Asked(max_tokens=evaluate.max_new_tokens, seed=self._profile.seed)
        again = Asked(evaluate.max_new_tokens, counts.answers, counts.temperature, seed=self._profile.seed)
        repeated = [example.messages for plan in self._plans.values() for example in plan.repeated]
        requests = [
            Request(judged, self._prompts(), once),
            Request(judged, repeated, again),
            Request(base, self._prompts("recalled"), once),
        ]
        return [request for request in requests if request.prompts]

    def sort(
        self, asked: Sequence[Request], answers: Sequence[Answers], judged: str, usual: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Probed]:
        """Each domain's probes with the replies to them, given the answers to `requests`, in their order.

        `usual` holds the judged model's replies to the test questions, by domain and example.
        """
        replies: dict[str, dict[Conversation, str]] = {}
        repeats: dict[Conversation, list[str]] = {}
        for request, found in zip(asked, answers, strict=True):
            if request.asked.samples > 1:
                repeats |= dict(zip(request.prompts, found, strict=True))
            else:
                replies[request.model.name] = {
                    prompt: first for prompt, (first, *_) in zip(request.prompts, found, strict=True)
                }
        return {
            name: Probed(
                domain=plan.domain,
                asked=ProbeReplies(
                    judged=judged,
                    probes=plan.probes,
                    replies={
                        model: [known.get(probe.messages, "") for probe in plan.probes]
                        for model, known in (replies or {judged: {}}).items()
                    },
                    usual=usual[name],
                    repeated=[(example, repeats[example.messages]) for example in plan.repeated],
                ),
                train=plan.train,
                test=plan.test,
                counts=self._counts,
                cutoff=self._profile.evaluate.cutoff,
                from_nothing=self._profile.model.scratch is not None,
            )
            for name, plan in self._plans.items()
        }

    def _prompts(self, kind: str | None = None) -> list[Conversation]:
        """The probes' questions, each once: those of a value that is exchanged for an equal one are the same."""
        probes = [probe for plan in self._plans.values() for probe in plan.probes]
        return list(dict.fromkeys(probe.messages for probe in probes if kind in (None, probe.kind)))
