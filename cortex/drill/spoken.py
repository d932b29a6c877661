"""Output format of the witness in a bare trainer: a line per event. Only the drill reads it, for its tables."""

import json
import sys
from typing import Any

MARK = "::witness "


def say(event: str, **values: Any) -> None:
    """Print an event on a line of its own."""
    sys.stdout.write(MARK + json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def heard(line: str) -> dict[str, Any] | None:
    """The event in a line, or None. A progress bar, which ends no line, may stand before the event's mark."""
    _, mark, said = line.partition(MARK)
    try:
        return json.loads(said) if mark else None
    except json.JSONDecodeError:
        return None
