"""The page that compares runs: verdicts and scores, differences on the same questions, money, time and profiles."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cortex.artifacts.store import Store
from cortex.evaluation.page_frame import TABLE_END, html_page, table_head
from cortex.evaluation.record import Evaluation
from cortex.report.gathered_run import GatheredRun
from cortex.report.run_comparison import pair_runs
from cortex.report.run_page import report_style
from cortex.runs.live import duration
from cortex.text import html_text

VALUE_LENGTH = 300
"""Characters of a profile's value that are shown."""

_MISSING = object()


def comparison_page(store: Store, runs: Sequence[GatheredRun]) -> str:
    """The page's text; `runs` are two or more, and the others are compared with the first."""
    lines = [f'<h1 class="run">Comparison of {html_text(", ".join(run.run for run in runs))}</h1>']
    domains = list(dict.fromkeys(name for run in runs for name in run.profile.domain.parts()))
    for domain in domains:
        lines += _domain(store, runs, domain)
    lines += [*_money(runs), *_profiles(runs)]
    return html_page(f"Comparison of {len(runs)} runs", lines, report_style())


def _domain(store: Store, runs: Sequence[GatheredRun], domain: str) -> Iterable[str]:
    yield f"<h2>Scores: {html_text(domain)}</h2>"
    learned = [run for run in runs if domain in run.profile.domain.parts()]
    judged = {run.run: run.evaluations[domain] for run in learned if domain in run.evaluations}
    for run in runs:
        if run.run not in judged:
            why = "is not evaluated" if run in learned else "does not learn this domain"
            yield f"<p>{html_text(run.run)} {why}.</p>"
    if not judged:
        return
    words = next(iter(judged.values())).words
    yield table_head(f"Scores of {domain}", ("Verdict", "Model", words.skill, words.loss, "Valid", "Test examples"))
    yield from (_score_row(run, evaluation) for run, evaluation in judged.items())
    yield TABLE_END
    if len(learned) > 1:
        yield from (f"<p>{html_text(each.told(words.loss))}</p>" for each in pair_runs(store, learned, domain))
    if len(judged) > 2:
        yield f'<p class="note">The best of {len(judged)} runs by test scores owes some of its lead to chance.</p>'


def _score_row(run: str, evaluation: Evaluation) -> str:
    item = evaluation.models[evaluation.verdict.model]
    scores = (("skill", item.skill, "+z.3f"), ("loss", item.loss, ".4f"))
    cells = [f"<td>{html_text(evaluation.verdict.headline)}</td><td>{html_text(evaluation.verdict.model)}</td>"]
    for name, value, form in scores:
        low, high = item.intervals[name].low, item.intervals[name].high
        cells.append(f"<td>{value:{form}}<small>{low:{form}} to {high:{form}}</small></td>")
    cells.append(f"<td>{item.valid_share:.1%}</td><td>{evaluation.data.test_examples:,}</td>")
    return f"<tr><th>{html_text(run)}</th>{''.join(cells)}</tr>"


def _money(runs: Sequence[GatheredRun]) -> Iterable[str]:
    yield "<h2>Money and time</h2>"
    yield table_head("Money and time", ("State", "Dollars", "Time of its machines", "Time of its stages", "Preempted"))
    for run in runs:
        paid = sum(charge.seconds for charge in run.status.charges)
        worked = sum(attempt.seconds for attempt in run.attempts)
        preempted = sum(stage.preemptions for stage in run.status.stages)
        cells = (run.status.state, f"{run.status.spent:.2f}", duration(paid), duration(worked), preempted)
        yield f"<tr><th>{html_text(run.run)}</th>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>"
    yield TABLE_END


def _profiles(runs: Sequence[GatheredRun]) -> Iterable[str]:
    yield "<h2>Profiles</h2>"
    differences = profile_differences([json.loads(run.profile.to_json()) for run in runs])
    if not differences:
        yield "<p>The profiles are the same.</p>"
        return
    yield '<p class="note">The values that are not the same in all profiles.</p>'
    yield table_head("Differences of the profiles", [run.run for run in runs])
    for key, values in differences.items():
        cells = "".join(f'<td class="words">{html_text(value, limit=VALUE_LENGTH)}</td>' for value in values)
        yield f"<tr><th>{html_text(key)}</th>{cells}</tr>"
    yield TABLE_END


def profile_differences(profiles: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The values of each dotted key that differ, as JSON; an empty text where a profile lacks the key."""
    flat = [dict(_flat(profile)) for profile in profiles]
    keys = dict.fromkeys(key for each in flat for key in each)
    found = {key: [each.get(key, _MISSING) for each in flat] for key in keys}
    return {
        key: ["" if value is _MISSING else json.dumps(value, ensure_ascii=False) for value in values]
        for key, values in found.items()
        if any(value != values[0] for value in values)
    }


def _flat(values: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
