"""The events of a ledger, and the values of each kind. A line with a missing or an invalid value is no event."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from cortex.artifacts.lease import LAST_EPOCH
from cortex.limits import read_json

Event = dict[str, Any]

LATEST = 253_402_300_799.0
"""The last second of the year 9999, the last that Python's dates can have."""

EARLIEST = -62_135_596_800.0
"""The first second of the year 1, the first that Python's dates can have."""

Check = Callable[[object], bool]


def _number(least: float, most: float, *, above: bool = False) -> Check:
    def check(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return least <= value <= most and not (above and value == least)  # NaN is in no range

    return check


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 10_000


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53


def _code(value: object) -> bool:
    return isinstance(value, int) and abs(value) <= 2**31


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(_text(each) for each in cast(list[object], value))


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(_measure(each) for each in cast(dict[str, object], value).values())


def _measured(value: object) -> bool:
    return _number(-LATEST, LATEST)(value)


_TIME, _SECONDS, _DOLLARS = _number(EARLIEST, LATEST), _number(0, LATEST), _number(0, 1e9)
_SIGN: dict[str, Check] = {"machine": _text, "since?": _TIME, "until?": _TIME, "seconds?": _SECONDS, "reason?": _text}
_MONEY: dict[str, Check] = {"spent": _DOLLARS, "budget?": _DOLLARS}
_OPTIONAL = _maybe(_text)

_RENTED: dict[str, Check] = {
    "machine": _text,
    "since": _TIME,
    # A price that is negative or not a number would turn the cap off.
    "dollars_per_hour": _number(0, 1e6),
    **{f"{name}?": _OPTIONAL for name in ("cloud", "region", "zone", "instance_type", "accelerators", "task")},
    "spot?": _flag,
}

VALUES: dict[str, dict[str, Check]] = {
    "machine_started": {**_RENTED, "until?": _TIME, "seconds?": _SECONDS},
    "machine_standing": {**_RENTED, "until": _TIME},
    "machine_gone": {**_RENTED, "until": _TIME},
    "machine_alive": _SIGN,
    "machine_ended": _SIGN,
    # A cap of 0 would mean no cap.
    "budget_raised": {"dollars": _number(0, 1e9, above=True)},
    "max_duration_raised": {"hours": _number(0, 1e6, above=True)},
    "deadline_set": {
        **dict.fromkeys(("restart", "stretch"), _SECONDS),
        "at": _TIME,
        "hours": _number(0, 1e6, above=True),
        "work": _numbers,
        "starts": _texts,
        "spot": _flag,
    },
    "deadline_decision": {
        "decision": _text,
        "reason": _text,
        **dict.fromkeys(("left", "need", "slack"), _measured),
    },
    "budget_warning": _MONEY,
    "budget_spent": _MONEY,
    "stage_started": {"stage": _text},
    "stage_finished": {"stage?": _text, "seconds?": _SECONDS, "manifest?": _OPTIONAL},
    "stage_failed": {"stage?": _text, "seconds?": _SECONDS, "code?": _maybe(_code), "reason?": _OPTIONAL},
    "progress": {"step": _count, "total": _count},
    "validated": {"stage": _text, "step": _count, "values": _numbers},
    "misled": {
        "stage": _text,
        **dict.fromkeys(("since", "step"), _count),
        **dict.fromkeys(("reward_before", "reward_after", "truth_before", "truth_after"), _measured),
    },
    "launching": {"name?": _text, "owner?": _OPTIONAL},
    "given_up": {"launches": _count, "dollars": _DOLLARS, "reason": _text},
    "launched": {"job?": _maybe(_count), "name?": _text},
    "stopped": {"job?": _maybe(_count)},
    "teardown": {"machines?": _texts},
    "destroyed": {"machine": _text},
    "published": {**dict.fromkeys(("address", "commit", "manifest", "visibility"), _text), "verified?": _text},
    "serving": {"service": _text},
    "unserved": {"service": _text},
    "bucket_unreachable": {"stage?": _text, "since?": _TIME, "reason?": _text},
    "bucket_answers": {"stage?": _text, "seconds?": _SECONDS},
}
"""The values of the kinds of events that the kit computes with; those with `?` may be missing. Other kinds may have any
values."""


CLOUDS_WORD = frozenset({"machine_standing", "machine_gone"})
"""The events that `cortex watch` enters about a machine, as the cloud reports it. They are no signs of life, since the
machine did not write them itself."""


def parse(lines: Iterable[str]) -> list[Event]:
    """The events of some lines. A line that is no event, such as one that was cut off, is left out."""
    return [event for line in lines if (event := _event(line)) is not None]


def order(event: Event) -> tuple[int, float]:
    """The sort key of events of different writers: the epoch first, since their clocks may disagree."""
    return event.get("epoch", 0), event["time"]


def _event(line: str) -> Event | None:
    try:
        found: object = read_json(line, nan=True)  # a training that diverges has a loss of NaN
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    event = cast(Event, found)
    kind: object = event.get("event")
    if not isinstance(kind, str) or len(kind) > 100:
        return None
    return event if _epoch(event.get("epoch")) and _TIME(event.get("time")) and _says_all(kind, event) else None


def _epoch(value: object) -> bool:
    return _count(value) and cast(int, value) <= LAST_EPOCH


def _says_all(kind: str, event: Event) -> bool:
    for name, check in VALUES.get(kind, {}).items():
        known, optional = name.removesuffix("?"), name.endswith("?")
        if not (check(event[known]) if known in event else optional):
            return False
    # All further values of a progress event are measurements; a loss may be infinite, or NaN.
    return kind != "progress" or all(_measure(value) for name, value in event.items() if name != "event")


def _measure(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= 2**53)
