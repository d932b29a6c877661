"""Several domains as one: a run learns all of them, and each judges its own examples.

A part's name begins the ids and clusters of its examples (`gym/17`), its own columns, and the parts of its rewards.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import BeforeValidator, Field, JsonValue, SerializeAsAny, model_validator

from cortex.domains.domain import Built, Domain, Exemplars, OnProgress
from cortex.domains.domain_field import read_field
from cortex.domains.episode import Episode, ToolTurns
from cortex.domains.label_finding import Finding
from cortex.domains.match import Match, RegradedMatch
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.registry import find_domain, read_domain
from cortex.domains.reward_parts import RewardPart
from cortex.errors import DataError
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Scale
from cortex.section import Items, Section
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.domains.domain import Rows
    from cortex.domains.pull_report import PullReport

Asked = TypeVar("Asked", Question, Example)

MIXTURE = "mixture"
"""The `kind` of several domains. A profile writes them as `domains: [...]`."""


def _of_each_variant(value: object) -> object:
    """The domains of a profile, where a section that stands for several is replaced by these, with equal weights."""
    if not isinstance(value, list | tuple):
        return value
    found: list[object] = []
    for item in cast(list[object], value):
        part = cast(dict[str, Any], item) if isinstance(item, dict) else {}
        section = part.get("domain")
        variants = read_variants(cast(dict[str, Any], section)) if isinstance(section, dict) else {}
        name, weight = part.get("name"), part.get("weight", 1.0)
        if not variants or not isinstance(weight, int | float):
            found.append(item)
            continue
        found += [
            {**part, "name": f"{name or one['kind']}-{short}", "weight": weight / len(variants), "domain": one}
            for short, one in variants.items()
        ]
    return found


def read_variants(values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The sections that a domain's section stands for, by short name; {} where it is a single one's."""
    return find_domain(str(values["kind"])).variants(values) if "kind" in values else {}


class Part(Section):
    """One of several domains."""

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    """The domain's name in scores, folders and ids. Default: its kind."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the training examples, relative to the other domains' weights."""
    domain: Annotated[SerializeAsAny[Domain], BeforeValidator(lambda value: read_field(value, read_domain))]
    """The domain's section, as a profile of this domain alone has it."""

    @property
    def called(self) -> str:
        """`name`, or its default."""
        return self.name or str(self.domain.kind)


class Mixture(Domain):
    """Several domains with weights. What is judged is judged by one of them, never by a mean over them."""

    kind: Literal["mixture"] = MIXTURE
    domains: Annotated[Items[Part], BeforeValidator(_of_each_variant)] = Field(min_length=1)
    """The domains, in the order of reports."""

    scale: ClassVar[Scale] = Scale(loss="Loss", skill="Skill", clusters="clusters", reference="reference")

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        name, count = Counter(part.called for part in self.domains).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{count} domains are called {name!r}: give each a `name` of its own")
        # A release has a folder of each domain's report beside its folders of weights.
        weights = re.compile(r"model$|adapter$|gptq|gguf")
        taken = next((part for part in self.parts() if weights.match(part)), None)
        if taken:
            raise ValueError(f"a domain called {taken!r} would share the release's folder of weights: give it a `name`")
        for key in ("feedback", "mixing", "rewards"):
            if getattr(self, key):
                raise ValueError(f"{key} is of one domain: name it in that domain's section")
        return self

    def parts(self) -> Mapping[str, Domain]:
        return {part.called: part.domain for part in self.domains}

    def part_of(self, example: str) -> str:
        return example.partition("/")[0]

    def rows_of(self, part: str, examples: "Rows") -> "Rows":
        from cortex.domains.mixing import take_apart

        return take_apart(examples, part)

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.dataset import describe_splits
        from cortex.domains.example_columns import check_examples
        from cortex.domains.mixing import mix
        from cortex.domains.shared_history import purge

        built = {name: domain.build(seed, settings) for name, domain in self.parts().items()}
        for name, made in built.items():
            check_examples(made.examples, name)
        weights = {part.called: part.weight for part in self.domains}
        tables, purged = purge(self.parts(), {name: made.examples for name, made in built.items()})
        examples = mix(tables, weights)
        described: dict[str, Any] = {}
        for name, domain in self.parts().items():
            splits = describe_splits(self.rows_of(name, examples.lazy()), domain)
            described[name] = {**built[name].description(), "splits": splits, **purged.get(name, {})}
        return Built(
            examples=examples,
            source={"name": MIXTURE, **{name: made.source for name, made in built.items()}},
            simulated=any(made.simulated for made in built.values()),
            summary="; ".join(f"{name}: {made.summary}" for name, made in built.items() if made.summary),
            further={"parts": described},
        )

    def grade(self, example: Example, reply: str) -> Graded:
        return self._renamed(example, self._asked(example).grade(self._own(example), reply))

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        return self._renamed(example, self._asked(example).grade_turns(self._own(example), turns))

    def episode(self, example: Example) -> Episode | None:
        return self._asked(example).episode(self._own(example))

    def takes_turns(self) -> bool:
        return any(domain.takes_turns() for domain in self.parts().values())

    def match(self, example: Example) -> Match | None:
        match = self._asked(example).match(self._own(example))
        return RegradedMatch(match, partial(self._renamed, example)) if match else None

    def plays_matches(self) -> bool:
        return any(domain.plays_matches() for domain in self.parts().values())

    def tool_turns(self) -> ToolTurns | None:
        with_turns = [domain.tool_turns() for domain in self.parts().values() if domain.takes_turns()]
        return with_turns[0] if with_turns and len(set(with_turns)) == 1 else None

    def reward(self, graded: Graded) -> float:
        name = next(iter(graded.parts), "").partition("/")[0]
        own = {part.removeprefix(f"{name}/"): value for part, value in graded.parts.items()}
        return self.parts()[name].reward(replace(graded, parts=own))

    def imitable(self, question: Question, reply: str) -> Finding:
        return self._asked(question).imitable(self._own(question), reply)

    def script(self, question: Question, seed: int) -> str:
        return self._asked(question).script(self._own(question), seed)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        raise DataError("several domains have no baselines in common: each has its own, for its own examples")

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return tuple(
            replace(part, name=f"{name}/{part.name}", weight=abs(domain.weights()[part.name]))
            for name, domain in self.parts().items()
            for part in domain.reward_parts()
        )

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str | None:
        name = self.part_of(question.id)
        own = [(self._own(example), share) for example, share in believed if self.part_of(example.id) == name]
        return self._asked(question).honest_reply(self._own(question), own)

    def exemplars(self, example: Example) -> Exemplars | None:
        return self._asked(example).exemplars(self._own(example))

    def check(self, settings: Settings) -> None:
        for domain in self.parts().values():
            domain.check(settings)

    def small(self) -> Self:
        smaller = tuple(part.model_copy(update={"domain": part.domain.small()}) for part in self.domains)
        return self.model_copy(update={"domains": smaller})

    def key_variables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for domain in self.parts().values() for key in domain.key_variables()))

    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for domain in self.parts().values() for name in domain.services()))

    def clients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for domain in self.parts().values() for name in domain.clients()))

    def pull(self, seed: int, settings: Settings, on_progress: OnProgress, *, fresh: bool) -> "list[PullReport]":
        return [
            report for part in self.parts().values() for report in part.pull(seed, settings, on_progress, fresh=fresh)
        ]

    def optional_keys(self) -> dict[str, str]:
        return {key: words for domain in self.parts().values() for key, words in domain.optional_keys().items()}

    def files(self) -> tuple[Path, ...]:
        return tuple(path for domain in self.parts().values() for path in domain.files())

    def with_labels(self, labels: Mapping[str, Conversation]) -> Self:
        informed: list[Part] = []
        for part in self.domains:
            before = f"{part.called}/"
            own = {name.removeprefix(before): label for name, label in labels.items() if name.startswith(before)}
            informed.append(part.model_copy(update={"domain": part.domain.with_labels(own)}))
        return self.model_copy(update={"domains": tuple(informed)})

    def own_reply(self, example: Example) -> str | None:
        return self._asked(example).own_reply(self._own(example))

    def preferred(self, example: Example) -> tuple[str, str] | None:
        return self._asked(example).preferred(self._own(example))

    def describe_split(self, rows: "pl.LazyFrame") -> dict[str, JsonValue]:
        ids = rows.select("id").collect(engine="streaming")["id"]
        return {name: int(ids.str.starts_with(f"{name}/").sum()) for name in self.parts()}

    def truth_words(self, example: Example) -> str:
        return self._asked(example).truth_words(self._own(example))

    def card(self) -> CardWords:
        raise DataError("several domains have no card in common: each has its own")

    def _asked(self, question: Question) -> Domain:
        return self.parts()[self.part_of(question.id)]

    def _own(self, asked: Asked) -> Asked:
        """A question as its domain built it, without the domain's name."""
        return replace(asked, id=asked.id.partition("/")[2])

    def _renamed(self, example: Example, graded: Graded) -> Graded:
        name = self.part_of(example.id)
        return replace(graded, parts={f"{name}/{part}": value for part, value in graded.parts.items()})


def read_described(values: Mapping[str, Any]) -> Domain:
    """The domain, or the several domains, that a profile's section describes.

    Raises:
        ConfigError: as `read_domain`.
        ValidationError: a value is wrong.
        ValueError: a list of which a section stands for one domain each is wrong.
    """
    if values.get("kind") == MIXTURE:
        return Mixture.model_validate(dict(values))
    if read_variants(values):
        return Mixture.model_validate({"kind": MIXTURE, "domains": [{"domain": dict(values)}]})
    return read_domain(values)
