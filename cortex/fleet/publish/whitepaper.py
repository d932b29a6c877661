"""The whitepaper of a run: one page of Markdown, in which every number comes from the run's own record."""

from collections.abc import Iterable
from itertools import groupby

from cortex.evaluation.card import LIMITS, SIMULATED_LIMIT, Report
from cortex.evaluation.card_tables import escaped, figure, score_table, table
from cortex.evaluation.chapter import Cell, Chapter
from cortex.evaluation.copy_loss import copy_losses
from cortex.evaluation.distillation_words import distillation_sentences
from cortex.evaluation.record import Evaluation, label
from cortex.fleet.publish.paper_record import PaperRecord
from cortex.runs.budget import Charge
from cortex.runs.run_state import StageReport
from cortex.runs.stage_list import trainings
from cortex.runs.training_facts import training_stage
from cortex.text import code, harmless, markdown

HOUR = 3600.0


def whitepaper(record: PaperRecord) -> str:
    """The page's text. The same record gives the same bytes."""
    return "\n\n".join(_sections(record)) + "\n"


def _sections(record: PaperRecord) -> Iterable[str]:
    yield f"# {markdown(record.profile.name)}: what was trained, and what it shows"
    yield from (_headline(report, record) for report in record.reports)
    if any(evaluation.data.simulated for evaluation, _ in record.reports):
        yield SIMULATED_LIMIT
    yield "## Method"
    yield from _method(record)
    for evaluation, _ in record.reports:
        yield f"## Data{_of(evaluation, record)}"
        yield from _data(evaluation)
    yield "## Training"
    yield _training(record)
    for evaluation, _ in record.reports:
        yield f"## Verdict{_of(evaluation, record)}"
        yield from _verdict(evaluation)
    yield "## Cost"
    yield from _cost(record)
    yield "## Limits"
    limits = dict.fromkeys(limit for _, words in record.reports for limit in words.limits)
    yield "\n".join(f"- {limit}" for limit in (*limits, *LIMITS))
    yield "## Lineage"
    yield from _lineage(record)


def _of(evaluation: Evaluation, record: PaperRecord) -> str:
    """The evaluation's domain, where a run has several."""
    return f" of {markdown(evaluation.data.domain)}" if len(record.reports) > 1 else ""


def _headline(report: Report, record: PaperRecord) -> str:
    evaluation, _ = report
    verdict = evaluation.verdict
    headline = f"{verdict.headline}{_of(evaluation, record)}"
    return f"**{headline[0].upper()}{headline[1:]}.** {markdown(verdict.reason)} {markdown(verdict.comparison)}"


def _method(record: PaperRecord) -> Iterable[str]:
    model = record.profile.model
    origin = f"tuned from {code(model.base)}" if model.base else "built from nothing"
    yield f"A language model, {origin}, that {' It '.join(words.what for _, words in record.reports)}"
    for evaluation, _ in record.reports:
        data = evaluation.data
        overlap = f", in blocks of {data.block_length:,}" if data.times else ""
        yield (
            f"It is judged on {data.test_examples:,} test examples of {data.clusters:,} {evaluation.words.clusters}, "
            f"which no training saw{_of(evaluation, record)}. {evaluation.words.skill} is measured against the "
            f"{label(evaluation.words.reference)}. Intervals are 95% intervals of {data.resamples:,} bootstrap samples "
            f"over the {evaluation.words.clusters}{overlap}."
        )


def _data(evaluation: Evaluation) -> Iterable[str]:
    data = evaluation.data
    yield markdown(data.source)
    facts = {"Training examples": f"{data.train_examples:,}", "Test examples": f"{data.test_examples:,}"}
    yield table(("Data", ""), escaped({**facts, **data.period, **data.facts}))


def _training(record: PaperRecord) -> str:
    reports = {report.name: report for report in record.stages}
    rows: list[tuple[str, ...]] = []
    for name in trainings(record.profile):
        stage, report = training_stage(record.profile, name), reports[name]
        facts = "; ".join((stage.method, *(f"{key} {value}" for key, value in stage.facts.items())))
        rows.append((code(name), markdown(facts), *_progress(report)))
    return table(("Stage", "What was done", "Time", "Attempts", "Preemptions", "Measured last"), rows)


def _progress(report: StageReport) -> tuple[str, ...]:
    measured = report.validation or report.values or {}
    values = "; ".join(f"{name} {value:.4g}" for name, value in measured.items())
    return f"{report.seconds / HOUR:.2f} h", f"{report.attempts}", f"{report.preemptions}", markdown(values)


def _verdict(evaluation: Evaluation) -> Iterable[str]:
    yield score_table(evaluation)
    judged = [one for one in evaluation.comparisons if one.first == evaluation.verdict.model]
    if judged:
        rows = [
            (markdown(label(one.second)), one.relation, figure(one.difference, one.interval, "+z.4f")) for one in judged
        ]
        loss = markdown(evaluation.words.loss)
        yield table(("Rival", "The judged model", f"Its {loss} less the model's"), rows)
    yield from distillation_sentences(evaluation, markdown)
    yield from (f"**Warning:** {markdown(loss.warning)}" for loss in copy_losses(evaluation) if loss.warning)
    for chapter in evaluation.chapters:
        yield from _chapter(chapter)


def _chapter(chapter: Chapter) -> Iterable[str]:
    """A chapter's sentences and tables; its charts are on the evaluation's own page."""
    yield f"### {markdown(chapter.title)}"
    yield from map(markdown, chapter.sentences)
    for each in chapter.tables:
        yield f"{markdown(each.title)}. {markdown(each.note)}".rstrip()
        header = ("", *(markdown(heading.title) for heading in each.headings))
        yield table(
            header,
            (
                (
                    markdown(label(row.name)),
                    *(_cell(cell, heading.form) for cell, heading in zip(row.cells, each.headings, strict=True)),
                )
                for row in each.rows
            ),
        )


def _cell(cell: Cell, form: str) -> str:
    return markdown(cell.text) if cell.value is None else figure(cell.value, cell.interval, form)


def _cost(record: PaperRecord) -> Iterable[str]:
    seconds = sum(report.seconds for report in record.stages)
    yield f"All stages took {seconds / HOUR:.2f} hours, in {sum(report.attempts for report in record.stages)} attempts."
    if not record.machines:
        yield "The ledger names no rented machine, so that no price is known."
        return
    rows = [_machines(name, list(each)) for name, each in groupby(sorted(record.machines, key=_kind), key=_kind)]
    total = sum(charge.dollars for charge in record.machines)
    yield table(("Machine", "How many", "Hours", "Dollars"), [*rows, ("**all**", "", "", f"**{total:,.2f}**")])
    if record.cap:
        yield f"The cap was {record.cap:,.2f} dollars."


def _kind(charge: Charge) -> str:
    parts = (charge.cloud, charge.instance_type, charge.accelerators, "spot" if charge.spot else "on demand")
    return ", ".join(harmless(part) for part in parts if part)


def _machines(name: str, machines: list[Charge]) -> tuple[str, ...]:
    hours = sum(charge.seconds for charge in machines) / HOUR
    return markdown(name), f"{len(machines)}", f"{hours:,.2f}", f"{sum(charge.dollars for charge in machines):,.2f}"


def _lineage(record: PaperRecord) -> Iterable[str]:
    base = record.provenance.get("base")
    facts = {"run": record.run, "release": record.release.digest, "profile": record.profile.digest}
    facts |= {"code": str(record.provenance.get("code"))}
    if base:
        facts |= {"base": f"{base['name']}", "base revision": f"{base['revision']}", "base manifest": base["manifest"]}
    yield table(("Of", "Hash"), ((markdown(name), code(value)) for name, value in facts.items()))
    rows = [
        (
            code(name),
            code(entry["manifest"]),
            ", ".join(code(one) for one in sorted(entry["inputs"])),
            ", ".join(f"{markdown(key)} {seed}" for key, seed in sorted(entry["seeds"].items())),
        )
        for name, entry in record.provenance["artifacts"].items()
    ]
    yield table(("Artifact", "Manifest", "Made from", "Seeds"), rows)
    for event in record.publications:
        address, commit, manifest = (code(event[name]) for name in ("address", "commit", "manifest"))
        yield f"Published at {address}, commit {commit}, manifest {manifest}."
    yield (
        "`cortex verify` checks a downloaded release against its manifest, "
        f"{code('cortex lineage ' + record.run)} lists what it was made from, and the profile in the release repeats "
        "the run."
    )
