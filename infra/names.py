"""How things are called: every name and tag follows from the stack."""

from dataclasses import dataclass

from cortex.artifacts.names import KEPT_FOLDERS, RUNS
from infra.config import PROJECT, StackConfig

CHECKPOINTS = f"{RUNS}/*/*/checkpoints/*"
"""What may be tagged, and what a run may delete; a `*` takes slashes, so that more than checkpoints may match."""

UNTAGGED = tuple(f"{RUNS}/*/{folder}/*" for folder in KEPT_FOLDERS)
"""What of that is no checkpoint."""

WRITTEN_ONCE = (f"{RUNS}/*/lease/*", f"{RUNS}/*/release/manifest.json")
"""What would spoil a run if two machines could both write it: the bucket itself refuses the second one."""


@dataclass(frozen=True)
class Names:
    """The names of one stack's resources."""

    stack: str
    account: str
    region: str

    @classmethod
    def of(cls, config: StackConfig) -> "Names":
        return cls(config.stack, config.account, config.region)

    @property
    def prefix(self) -> str:
        return f"{PROJECT}-{self.stack}"

    @property
    def tags(self) -> dict[str, str]:
        return {"project": PROJECT, "stack": self.stack, "managed-by": "pulumi"}

    @property
    def worker(self) -> str:
        """The role, and the instance profile, of the machines that train."""
        return f"{self.prefix}-worker"

    def bucket(self, kind: str) -> str:
        """Bucket names are shared by all accounts of the world: the account and region make them ours."""
        return f"{self.prefix}-{kind}-{self.account}-{self.region}"

    def repository(self, image: str) -> str:
        return f"{self.prefix}/{image}"

    def secret(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def zone(self, letter: str) -> str:
        return f"{self.region}{letter}"
