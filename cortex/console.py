"""The terminal that every verb writes to: untrusted text is shown on it and cannot control it."""

from collections.abc import Iterable
from typing import Any

import rich.console
from loguru import logger
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cortex.text import harmless

LONGEST = 100_000
"""Most characters of one text that are shown: enough for a dataset's sample prompt."""


class Console(rich.console.Console):
    """Rich's console without markup, emoji codes and control characters. Styles come from the kit's own `Text`s."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, **options, "markup": False, "emoji": False})

    def render_str(self, text: str, **options: Any) -> Text:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Sanitize plain strings before the layout, so that columns keep their width."""
        return super().render_str(harmless(text, limit=LONGEST, lines=True), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Sanitize what the layout gives, whatever object a text came in.

        Rich keeps the sequences that move the cursor in control segments of their own, which pass unchanged.
        """
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=harmless(segment.text, limit=LONGEST, lines=True))


def guard_log() -> None:
    """Sanitize log messages too: warnings quote text from stores and machines."""

    def clean(record: Any) -> None:
        record["message"] = harmless(record["message"], lines=True)

    logger.configure(patcher=clean)
