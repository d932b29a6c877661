"""Transcripts of the judged answers, as a part of a run's page: a few as plain text, all for its search."""

from collections.abc import Iterable

import polars as pl

from cortex.evaluation.record import label
from cortex.report.transcript_pack import FULL, pack, telling
from cortex.text import html_text

PLAIN = 4
"""Answers of each kind that stand on the page as plain text, for browsers without script and for paper."""

_FORM = """<form id="finder" class="finder" role="search" hidden>
<p><label for="finder-words">Search questions and answers</label>
<input id="finder-words" type="search" autocomplete="off" spellcheck="false"></p>
<p><label for="finder-kind">Show</label>
<select id="finder-kind"><option value="all">all, in their order</option><option value="worst">worst first</option>
<option value="best">best first</option><option value="flagged">flagged alone</option></select></p>
<p><label for="finder-model">Model</label>
<select id="finder-model"><option value="">all models</option></select></p>
</form>
<p id="finder-status" class="note finder" role="status" hidden></p>
<ol id="finder-list" class="finder" hidden></ol>
<p class="finder" id="finder-further" hidden><button id="finder-more" type="button">Show more</button></p>"""


def transcripts_html(table: pl.DataFrame, judged: str, budget: int) -> Iterable[str]:
    """The lines of the section, below its heading. They and the pack take little more than `budget` bytes."""
    plain = list(_plain(table, judged))
    packed = pack(table, judged, budget - sum(len(line.encode()) for line in plain))
    yield f'<p class="note">The lower the loss, the better the answer. {html_text(packed.told())}</p>'
    yield _FORM
    yield from plain
    yield f'<script type="application/octet-stream" id="packed">{packed.data}</script>'


def _plain(table: pl.DataFrame, judged: str) -> Iterable[str]:
    yield '<div id="finder-plain">'
    for kind, rows in telling(table, judged).items():
        if rows.is_empty():
            continue
        yield f"<h3>{kind.capitalize()} answers of {html_text(label(judged))}</h3>"
        for _, key, loss, valid, held_back, prompt, truth, answer in rows.head(PLAIN).iter_rows():
            flags = ("", ", unreadable")[not valid] + ("", ", held back")[held_back]
            yield f"<article><h4>{html_text(key)}: loss {loss:.3f}{flags}</h4>"
            for name, text in (("question", prompt), ("answer", answer), ("truth", truth)):
                yield f'<span class="note">{name}</span><pre>{html_text(text, limit=FULL)}</pre>'
            yield "</article>"
    yield "</div>"
