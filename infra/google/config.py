"""Settings of a stack's resources at Google."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

SUPERSEDED_DAYS = 3
"""Days for which replaced or deleted objects can be restored by anyone who may read them."""

LONGEST_RECOVERY = 90
SHORTEST_RECOVERY = 7
"""Bounds of the days for which Google keeps deleted objects, if it keeps them at all."""

Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d{1,2}$")]

_PLACE = re.compile(r"^[A-Za-z]+-[A-Za-z]+\d{1,2}$")
"""A single region's name, in upper or lower case; `US` and `NAM4` are multi-regions."""


class GcpConfig(BaseModel):
    """Project and places of the bucket, network and identity for runs on Google's machines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    """The id of the Google project that owns and pays for all of it. A project of its own: SkyPilot's account has the
    same name in all of them, and may start machines in the whole project."""

    regions: tuple[Region, ...] = Field(min_length=1, max_length=16)
    """Regions for machines, each with a subnet, which costs nothing. Add new ones at the end, because the position in
    the list decides the subnet's addresses."""

    location: str = Field(default="", pattern=r"^([A-Za-z]{2,4}\d{0,2}|[A-Za-z]+-[A-Za-z]+\d{1,2})?$")
    """Location of the bucket: a region, or a multi-region (`US`, `NAM4`). Default: the first of `regions`."""

    soft_delete_days: int = Field(default=SHORTEST_RECOVERY, ge=0, le=LONGEST_RECOVERY)
    """Days for which deleted objects can be restored, whoever deleted them, and are paid for; 0 for none."""

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
        """Location of the bucket."""
        return self.location or self.regions[0]
