"""The frame of a page that is one file: its head, its style, the policy that keeps it apart from the network; and the
boxes of wide tables and drawings, which scroll by themselves on a narrow screen."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from cortex.text import html_text


def html_page(title: str, lines: Iterable[str], style: str, script: str = "") -> str:
    """The text of a page. `lines` are its body in HTML; `script` is the one script that a browser may run in it.

    Styles may stand in the page, since the drawings have some; nothing is loaded from anywhere.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f" script-src 'sha256-{digest}';" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline';{allowed} base-uri 'none'; form-action 'none'"
    body = "\n".join(lines)
    end = f"\n<script>{script}</script>" if script else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{html_text(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>{end}
</body>
</html>
"""


def page_style() -> str:
    """The style of every such page."""
    return files("cortex.evaluation").joinpath("page.css").read_text(encoding="utf-8")


def table_head(name: str, titles: Sequence[str]) -> str:
    """The beginning of a table up to its body, whose first column has no title. `name` is read out to people."""
    cells = "".join(f"<th>{html_text(title)}</th>" for title in titles)
    box = f'<div class="scroll" role="region" tabindex="0" aria-label="{html_text(name)}">'
    return f"{box}<table><thead><tr><td></td>{cells}</tr></thead><tbody>"


TABLE_END = "</tbody></table></div>"
"""The end of a table that `table_head` began."""


def figure_html(svg: str) -> str:
    """A drawing in its box. The keyboard reaches the box, so that it can be scrolled."""
    return f'<figure tabindex="0">{svg}</figure>'
