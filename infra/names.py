"""Names and tags of a stack's resources; all follow from the stack's settings."""

from dataclasses import dataclass

from cortex.artifacts.file_names import BASES, KEPT_FOLDERS, RUNS, TINKER
from cortex.fleet.clouds.job_names import BASE_TAG, RUN_TAG
from infra.config import PROJECT, StackConfig

CHECKPOINTS = f"{RUNS}/*/*/checkpoints/*"
"""Objects that may be tagged. `*` also matches slashes, so more than checkpoints match."""

UNTAGGED = tuple(f"{RUNS}/*/{folder}/*" for folder in KEPT_FOLDERS)
"""Objects that match `CHECKPOINTS` but are no checkpoints."""

WRITTEN_ONCE = (
    f"{RUNS}/*/profile.json",
    f"{RUNS}/*/bound.json",
    f"{RUNS}/*/base.json",
    f"{RUNS}/*/teacher.json",
    f"{RUNS}/*/lease/*",
    f"{RUNS}/*/ledger/*",
    f"{RUNS}/*/*/artifact/manifest.json",
    f"{RUNS}/*/release/manifest.json",
    f"{BASES}/*/manifest.json",
    f"{TINKER}/*/manifest.json",
)
"""Objects whose replacement would spoil a run: the bucket's policy lets nobody overwrite or delete them."""

OWN_RUN = f"{RUNS}/${{aws:PrincipalTag/{RUN_TAG}}}"
"""Folder of the run whose role asks. IAM fills in the role's tag; a role without the tag has no folder."""

OWN_BASE = f"{BASES}/${{aws:PrincipalTag/{BASE_TAG}}}"
"""Copy of the base model that the role's run starts from. A role without the tag may write none."""


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
        """The role and instance profile of machines that belong to no run."""
        return f"{self.prefix}-worker"

    @property
    def server(self) -> str:
        """SkyPilot's server, its role, its instance profile and its security group."""
        return f"{self.prefix}-server"

    @property
    def run(self) -> str:
        """The policy of every run's role; a role's name is this name and a hash of the run's id."""
        return f"{self.prefix}-run"

    def bucket(self, kind: str) -> str:
        """A bucket's name. All accounts of AWS share one namespace, so the name has the account and region in it."""
        return f"{self.prefix}-{kind}-{self.account}-{self.region}"

    def gcp_bucket(self, project: str) -> str:
        """The bucket at Google; its name has the project's id, which is unique, too."""
        return f"{self.prefix}-artifacts-{project}"

    @property
    def gcp_role(self) -> str:
        """The custom role of machines at Google, whose id takes no hyphens."""
        return f"{self.prefix}-machines".replace("-", "_")

    def repository(self, image: str) -> str:
        return f"{self.prefix}/{image}"

    def zone(self, letter: str) -> str:
        return f"{self.region}{letter}"
