"""The grade of a label, by everything but the truth."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Grade of a label as an example for SFT, with the reasons for any grade below `accepted`."""

    grade: Literal["accepted", "flagged", "rejected"]
    reasons: tuple[str, ...] = ()
