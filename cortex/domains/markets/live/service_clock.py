"""A service's clock beside this machine's: a wrong one would take a day that is not over for a complete one."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from cortex.errors import ConfigError

MOST_SECONDS = 600
"""Seconds by which the clocks may differ."""


def check_clock(headers: Mapping[str, str], service: str) -> None:
    """Raise ConfigError where the date of an answer is too far from this machine's; an answer may have none."""
    try:
        there = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return
    apart = time.time() - there
    if abs(apart) > MOST_SECONDS:
        raise ConfigError(
            f"this machine's clock is {abs(apart) / 3600:.1f} h {'ahead of' if apart > 0 else 'behind'} {service}'s, "
            "so that days would be cut wrong: set the clock"
        )
