"""The terminal as every verb writes to it: no text can do anything there but be read."""

from collections.abc import Iterable
from typing import Any

import rich.console
from loguru import logger
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cortex.text import harmless

LONGEST = 100_000
"""Characters of one text: a dataset's sample prompt is shown whole."""


class Console(rich.console.Console):
    """Rich's console without markup, emoji codes and control characters. Styles come from the kit's own `Text`s."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options, "markup": False, "emoji": False})

    def render_str(self, text: str, **options: Any) -> Text:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Before the layout, so that columns keep their width."""
        return super().render_str(harmless(text, limit=LONGEST, lines=True), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """After it, whatever a text came in. What moves the cursor is rich's own, in segments of their own."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=harmless(segment.text, limit=LONGEST, lines=True))


def guard_log() -> None:
    """Make what is logged harmless, too: warnings quote stores and machines."""

    def clean(record: Any) -> None:
        record["message"] = harmless(record["message"], lines=True)

    logger.configure(patcher=clean)
