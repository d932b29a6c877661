"""The bed's one folder, which holds everything it has."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.settings import Settings


@dataclass(frozen=True)
class Place:
    """The paths below the bed's folder."""

    root: Path

    @classmethod
    def default(cls) -> "Place":
        return cls(Path(os.environ.get("CORTEX_TESTBED") or Settings().home.absolute() / "testbed"))

    @property
    def cache(self) -> Path:
        """Files that the next bed takes over: the machines' root file system."""
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        """Everything that the bed's programs write, kept when the bed is down."""
        return self.root / "logs"

    @property
    def home(self) -> Path:
        """Home of the bed's user: SkyPilot's state, keys, credentials."""
        return self.root / "home"

    @property
    def machines(self) -> Path:
        return self.root / "machines"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def orders(self) -> Path:
        """Orders to reclaim a machine, left here for the bed."""
        return self.root / "orders"

    @property
    def drought(self) -> Path:
        """While this file exists, the cloud sells no spot machine."""
        return self.root / "drought"

    @property
    def lock(self) -> Path:
        """Locked while the bed is up; holds the id of its process."""
        return self.root / "lock"

    @property
    def state(self) -> Path:
        """The bed's phase and machines, as it last saw them."""
        return self.root / "state.json"

    @property
    def authority(self) -> Path:
        """The certificate of the authority that the bed's own internet is signed by."""
        return self.root / "authority.pem"

    @property
    def passing(self) -> tuple[Path, ...]:
        """Paths that go with the bed: all but the cache and the logs."""
        return (self.home, self.machines, self.temporary, self.orders, self.drought, self.state, self.authority)


def apart(paths: Sequence[Path]) -> list[Path]:
    """The given folders without those that lie in another of them."""
    return [path for path in paths if not any(path.is_relative_to(other) for other in paths if other != path)]
