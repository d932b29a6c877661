"""Matplotlib figures as SVG in the colours and the font of the page around them, with the same bytes every time."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex.text import html_text

THEME = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "surface": "#040404",
    "accent": "#050505",
    **{f"series-{index}": f"#0600{index:02x}" for index in range(8)},
}
"""The page's colours by name. Matplotlib gets these stand-ins, which become CSS variables: dark mode reaches them."""

_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": THEME["grid"],
    "axes.labelcolor": THEME["muted"],
    "axes.titlecolor": THEME["ink"],
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": THEME["grid"],
    "grid.linewidth": 0.6,
    "text.color": THEME["ink"],
    "xtick.color": THEME["muted"],
    "ytick.color": THEME["muted"],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


_ALONE = {
    "ink": "#1a1a1a",
    "muted": "#5b5b5b",
    "grid": "#d9d9d9",
    "surface": "#ffffff",
    "accent": "#0b62a4",
    "series-0": "#0b62a4",
    "series-1": "#c25700",
    "series-2": "#2a7f3f",
    "series-3": "#8a3ffc",
    "series-4": "#9f1853",
    "series-5": "#5b5b5b",
    "series-6": "#005d5d",
    "series-7": "#8a6a00",
}
"""Values of the colour variables in a file of its own, which has no page to inherit them from."""


@contextmanager
def themed() -> Iterator[None]:
    """Draw in the page's style: figures must be made and turned to SVG inside."""
    with matplotlib.rc_context(cast("Any", _STYLE)):  # its keys are plain strings; the stubs want literals
        yield


def series(index: int) -> str:
    """The colour of the series with this index; beyond eight they repeat."""
    return THEME[f"series-{index % 8}"]


def plain_y(axes: Axes) -> None:
    """Show categories on the y axis as labels alone, without axis line or grid."""
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")


def to_svg(figure: Figure, description: str) -> str:
    """The figure as one `<svg>` element for an HTML page, with a description for those who do not see it."""
    buffer = io.StringIO()
    # Ids are hashes: the salt makes them the same in every run, and different in every figure of a page.
    with matplotlib.rc_context({"svg.hashsalt": description}):
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches="tight",
            pad_inches=0.05,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Groups are named figure_1, axes_1, ... in every figure, and a page must not repeat an id.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    # A hundredth of a pixel is not seen, and the digits after it are a third of a page.
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    for name, stand_in in THEME.items():
        text = text.replace(stand_in, f"var(--{name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{html_text(description)}"', 1)


def standalone(svg: str) -> str:
    """The figure as a file of its own: with its colours and a background."""
    variables = "".join(f"--{name}:{value};" for name, value in _ALONE.items())
    return svg.replace("<svg", f'<svg style="{variables}background:#ffffff"', 1)
