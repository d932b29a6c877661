"""Settings of a stack's ground at Google."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

SUPERSEDED_DAYS = 3
"""How long what was replaced or deleted can be brought back by whoever may read it."""

LONGEST_RECOVERY = 90
SHORTEST_RECOVERY = 7
"""Days that Google keeps what was deleted, if it keeps it at all."""

Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d{1,2}$")]

_PLACE = re.compile(r"^[A-Za-z]+-[A-Za-z]+\d{1,2}$")
"""A region's name, in either case; `US` or `NAM4` are several regions."""


class GcpConfig(BaseModel):
    """Where runs on Google's machines have their bucket, network and identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    """The id of the Google project that owns and pays for all of it. A project of its own: SkyPilot's account has the
    same name in all of them, and may start machines in the whole project."""

    regions: tuple[Region, ...] = Field(min_length=1, max_length=16)
    """Where machines may be, each with a subnet, which costs nothing. Add one at the end: the place decides the
    subnet's addresses."""

    location: str = Field(default="", pattern=r"^([A-Za-z]{2,4}\d{0,2}|[A-Za-z]+-[A-Za-z]+\d{1,2})?$")
    """Where the bucket lies: a region, or several (`US`, `NAM4`). Default: the first of `regions`."""

    soft_delete_days: int = Field(default=SHORTEST_RECOVERY, ge=0, le=LONGEST_RECOVERY)
    """How long what was deleted can be brought back, whoever deleted it, and is paid for; 0 for not at all."""

    @model_validator(mode="after")
    def _fits(self) -> "GcpConfig":
        if len(set(self.regions)) < len(self.regions):
            raise ValueError("regions: one stands twice; name each region once")
        if _PLACE.match(self.location) and self.location.lower() not in self.regions:
            raise ValueError(
                f"location: {self.location} is none of regions ({', '.join(self.regions)}), so reads would be billed "
                "as traffic between regions: take one of them, or a multi-region such as US"
            )
        if 0 < self.soft_delete_days < SHORTEST_RECOVERY:
            raise ValueError(
                f"soft_delete_days: Google keeps what was deleted for {SHORTEST_RECOVERY} days or more, or not at all: "
                f"write {SHORTEST_RECOVERY} or 0"
            )
        return self

    @property
    def home(self) -> str:
        """Where the bucket lies."""
        return self.location or self.regions[0]
