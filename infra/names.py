"""How things are called: every name and tag follows from the stack."""

from dataclasses import dataclass

from cortex.artifacts.names import BASES, KEPT_FOLDERS, RUNS
from cortex.fleet.names import BASE_TAG, RUN_TAG
from infra.config import PROJECT, StackConfig

CHECKPOINTS = f"{RUNS}/*/*/checkpoints/*"
"""What may be tagged; a `*` takes slashes, so that more than checkpoints may match."""

UNTAGGED = tuple(f"{RUNS}/*/{folder}/*" for folder in KEPT_FOLDERS)
"""What of that is no checkpoint."""

WRITTEN_ONCE = (
    f"{RUNS}/*/profile.json",
    f"{RUNS}/*/bound.json",
    f"{RUNS}/*/base.json",
    f"{RUNS}/*/lease/*",
    f"{RUNS}/*/ledger/*",
    f"{RUNS}/*/*/artifact/manifest.json",
    f"{RUNS}/*/release/manifest.json",
    f"{BASES}/*/manifest.json",
)
"""What would spoil a run if it could be replaced: the bucket itself lets nobody write it twice, or delete it."""

OWN_RUN = f"{RUNS}/${{aws:PrincipalTag/{RUN_TAG}}}"
"""The folder of the run whose role asks. IAM fills the tag in; who has none owns no folder."""

OWN_BASE = f"{BASES}/${{aws:PrincipalTag/{BASE_TAG}}}"
"""The copy of the model that its run starts from. Who has no such tag writes none."""


@dataclass(frozen=True)
class Names:
    """The names of one stack's resources."""

    stack: str
    account: str
    region: str
    more_regions: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: StackConfig) -> "Names":
        return cls(config.stack, config.account, config.region, config.more_regions)

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region with a network, the stack's own first."""
        return self.region, *self.more_regions

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

    @property
    def server(self) -> str:
        """SkyPilot's server: the machine, its role, its instance profile and its security group."""
        return f"{self.prefix}-server"

    @property
    def run(self) -> str:
        """The policy of every run's role; a role's own name is this and a hash of the run's id."""
        return f"{self.prefix}-run"

    def bucket(self, kind: str) -> str:
        """Bucket names are shared by all accounts of the world: the account and region make them ours."""
        return f"{self.prefix}-{kind}-{self.account}-{self.region}"

    def gcp_bucket(self, project: str) -> str:
        """The bucket at Google: a project's id is its owner's alone, too."""
        return f"{self.prefix}-artifacts-{project}"

    @property
    def gcp_role(self) -> str:
        """The custom role of machines at Google, whose id takes no hyphens."""
        return f"{self.prefix}-machines".replace("-", "_")

    def repository(self, image: str) -> str:
        return f"{self.prefix}/{image}"

    def zone(self, letter: str) -> str:
        return f"{self.region}{letter}"
