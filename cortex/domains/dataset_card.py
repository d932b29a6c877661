"""The card of a dataset, `README.md` beside its examples: sources, terms, spans, base rates, mix, columns, limits."""

import json
from collections.abc import Mapping
from typing import Any

from cortex.domains.dataset_description import describe_part
from cortex.domains.domain import Domain
from cortex.domains.mix_words import mix_words
from cortex.text import code, markdown

CARD = "README.md"
"""The file of a dataset's card, in its folder."""

RELEASED_CARD = "DATASET.md"
"""The same in a release, whose `README.md` is the model's card."""

_COLUMNS = {
    "id": "name of the example, unique in the dataset",
    "split": "train, validation or test",
    "cluster": "examples of one cluster are right or wrong together; none is in two splits",
    "at": "time of the question (UTC); null where order in time means nothing",
    "messages": "the question as a conversation, each turn with its role and content",
    "truth": "the answer that came true, as JSON: no prompt for a model may hold it",
}
_LIMITS = (
    "An example is a question and its truth. The replies that a model learned to imitate are not here.",
    "Splits are made once. A model, a rule or a prompt that was chosen by its test scores has no test split left.",
)
_SIMULATED = "**Simulated, wholly or in part**: skill on it says that a pipeline learns, and nothing of the real world."
_SOURCE_TEXT = 4000


def dataset_card(domain: Domain, description: Mapping[str, Any]) -> str:
    """The card's text in Markdown, without metadata. Equal datasets have equal cards."""
    parts = domain.parts()
    sections = [f"# Dataset: {markdown(domain.kind)}", *([_SIMULATED] if description["simulated"] else [])]
    if len(parts) > 1:
        sections.append(f"{len(parts)} domains in one table; an example's id begins with its domain's name.")
    for name, part in parts.items():
        sections += _part(name, part, describe_part(dict(description), name), description, alone=len(parts) == 1)
    sections += ["## Columns", _columns(domain, description), "## Limits of every such dataset", _bullets(_LIMITS)]
    return "\n\n".join(sections) + "\n"


def _part(name: str, part: Domain, described: Mapping[str, Any], whole: Mapping[str, Any], *, alone: bool) -> list[str]:
    words = part.data_words(described)
    account = whole.get("mixing", {}).get(name)
    notes = (described.get("account") or {}).get("notes", ())
    feedback = whole.get("feedback", {}).get(name)
    level = "##" if alone else "###"
    sections = [] if alone else [f"## {markdown(name)}"]
    sections += [markdown(words.what) + (f" {markdown(described['summary'])}." if described.get("summary") else "")]
    sources = [f"**{markdown(one.name)}**: {markdown(one.terms)}" for one in words.sources]
    sections += [f"{level} Sources and terms", _bullets(sources)]
    if feedback:
        used = f"{feedback['train']} training and {feedback['test']} test questions, and {feedback['replies']} replies"
        sections.append(f"Feedback of callers who allowed it to be kept is among it: {used}.")
    sections += [f"{level} Splits", _splits(described["splits"])]
    if described.get("purged"):
        gone = ", ".join(f"{count:,} {split}" for split, count in described["purged"].items())
        sections.append(f"Left out, since outcomes overlap another domain's held-out times: {gone}.")
    if account:
        drawn = f"A run learns from what was drawn, and nothing else: {markdown(mix_words(account))}."
        sections += [f"{level} Mix", f"{drawn} Validation and test examples are not mixed."]
    limits = (*words.limits, *notes)
    if limits:
        sections += [f"{level} Known limits", _bullets(markdown(limit) for limit in limits)]
    source = json.dumps(described["source"], sort_keys=True, default=str)
    return [*sections, f"{level} Origin", code(source, limit=_SOURCE_TEXT)]


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of the splits: sizes, spans and the domain's own facts, such as base rates."""
    known = ("examples", "first", "last")
    further = list(dict.fromkeys(key for split in splits.values() for key in split if key not in known))
    rows = [("split", "examples", "first", "last", *(key.replace("_", " ") for key in further))]
    for name, split in splits.items():
        facts = [split.get(key, "") for key in further]
        values = [f"{fact:.1%}" if isinstance(fact, float) else str(fact) for fact in facts]
        rows.append((name, f"{split['examples']:,}", str(split["first"] or ""), str(split["last"] or ""), *values))
    return _table(rows)


def _columns(domain: Domain, description: Mapping[str, Any]) -> str:
    rows = [(code(name), markdown(meaning)) for name, meaning in column_meanings(domain, description).items()]
    return _table([("column", "meaning"), *rows])


def column_meanings(domain: Domain, description: Mapping[str, Any]) -> dict[str, str]:
    """The meaning of each column that has one, by its name in the dataset."""
    parts, found = domain.parts(), dict(_COLUMNS)
    for name, part in parts.items():
        before = "" if part is domain else f"{name}/"
        own = part.data_words(describe_part(dict(description), name)).columns
        found |= {f"{before}{column}": meaning for column, meaning in own.items()}
    return found


def known_limits(domain: Domain, description: Mapping[str, Any]) -> list[str]:
    """The limits of a dataset: its domains' own, then those of every dataset."""
    own = [
        limit
        for name, part in domain.parts().items()
        for limit in part.data_words(describe_part(dict(description), name)).limits
    ]
    return [*dict.fromkeys(own), *_LIMITS]


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def _bullets(lines: Any) -> str:
    return "\n".join(f"- {line}" for line in lines)
