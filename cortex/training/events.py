"""What a trainer tells the process that supervises it: one line of its output per event, among its other lines."""

import json
import sys
from typing import Any

MARK = "::trainer "

LEAVE_VARIABLE = "CORTEX_LEAVE_FILE"
"""Names a file that appears when the trainer shall save and leave."""

Event = dict[str, Any]
"""`event` is one of `started` (rank, pid, step, total), `step` (step), `progress` (step, total, measured values),
`saving` (step), `saved` (step), `waiting` (reason), `failed` (reason)."""


def emit(event: str, **values: Any) -> None:
    """Say it, on a line of its own, in one write: what other ranks say at the same time stays out of it."""
    sys.stdout.write(MARK + json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def parse(line: str) -> tuple[str, Event | None]:
    """What of a line is the trainer's own text, and the event that it carries, if it does.

    A progress bar, which ends no line, may stand before the mark; two ranks that print at once may spoil one.
    """
    text, mark, told = line.partition(MARK)
    if not mark:
        return line, None
    try:
        return text, json.loads(told)
    except json.JSONDecodeError:
        return line, None
