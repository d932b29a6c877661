"""Data and lineage of a run, as a part of its page: sources, splits, and the digest of every artifact."""

from collections.abc import Iterable, Mapping
from typing import Any

from cortex.domains.dataset_description import describe_part
from cortex.evaluation.page_frame import TABLE_END, table_head
from cortex.report.gathered_run import GatheredRun
from cortex.text import html_text


def data_html(run: GatheredRun) -> Iterable[str]:
    """The lines on the dataset, below their heading."""
    if not run.dataset:
        yield "<p>The dataset is not built yet.</p>"
        return
    parts = run.profile.domain.parts()
    for name, part in parts.items():
        described = describe_part(run.dataset, name)
        words = part.data_words(described)
        yield f"<h3>{html_text(name)}</h3>" if len(parts) > 1 else ""
        yield f"<p>{html_text(words.what)} {html_text(described.get('summary', ''))}</p>"
        yield "<ul>"
        yield from (f"<li>{html_text(one.name)}: {html_text(one.terms)}</li>" for one in words.sources)
        yield from (f"<li>{html_text(limit)}</li>" for limit in words.limits)
        yield "</ul>"
        yield from _splits(described.get("splits", {}), name)


def _splits(splits: Mapping[str, Mapping[str, Any]], name: str) -> Iterable[str]:
    yield table_head(f"Splits of {name}", ("Examples", "First", "Last"))
    for split, facts in splits.items():
        cells = (f"{facts.get('examples', 0):,}", facts.get("first") or "", facts.get("last") or "")
        yield f"<tr><th>{html_text(split)}</th>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>"
    yield TABLE_END


def lineage_html(run: GatheredRun) -> Iterable[str]:
    """The lines on the artifacts, below their heading."""
    base = run.provenance.get("base") or {}
    facts = {
        "Bucket": run.status.bucket,
        "Profile": f"{run.profile.name}, SHA-256 {run.profile.digest}",
        "Search": run.search,
        "Base": run.profile.model.base or "built from nothing",
        "Revision of the base": base.get("revision"),
        "Manifest of the base": base.get("manifest"),
        "Code of the release": run.provenance.get("code"),
    }
    yield "<dl>"
    for name, value in facts.items():
        if value:
            yield f'<div class="wide"><dt>{name}</dt><dd><code>{html_text(value)}</code></dd></div>'
    yield "</dl>"
    if not run.manifests:
        yield "<p>No stage has published an artifact yet.</p>"
        return
    yield '<p class="note">The SHA-256 of each artifact\'s manifest, which lists every file with its own.</p>'
    yield table_head("Artifacts", ("Manifest", "Made from", "Files", "Bytes", "Code"))
    for stage, manifest in run.manifests.items():
        cells = (", ".join(sorted(manifest.inputs)), f"{len(manifest.files):,}", f"{manifest.size:,}", manifest.code)
        digest = f'<td class="digest"><code>{manifest.digest}</code></td>'
        row = "".join(f"<td>{html_text(cell)}</td>" for cell in cells)
        yield f"<tr><th>{html_text(stage)}</th>{digest}{row}</tr>"
    yield TABLE_END
