"""A run's own role in AWS: its machines can read and write that run, and no other.

The role has the run's id as a tag, and the stack's one policy for runs, which allows the folder that the tag names
(`aws:PrincipalTag`). A second tag names the base that the launch pinned, the only one of which it may write a copy. A
machine cannot change its role's tags. It gets fresh credentials of the role for as long as it lives, and so do the
machines that replace it.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from cortex.errors import ConfigError, RefusedError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.job_names import BASE_TAG, RUN_TAG
from cortex.settings import Settings

TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
"""Trust policy of the role: only EC2 may assume it, for machines that have its instance profile."""

_EXISTS = ("EntityAlreadyExists", "LimitExceeded")
_GONE = "NoSuchEntity"


@dataclass(frozen=True)
class RunRole:
    """The role of one run, with the stack's policy for runs; its instance profile has the same name."""

    run: str
    policy: str
    """The policy's ARN."""
    base: str | None = None
    """The base that its machines may copy into the bucket, as `<owner>--<name>/<revision>`; None for none."""

    @classmethod
    def of(cls, run: str, settings: Settings, base: str | None = None) -> "RunRole | None":
        """The run's role; None where the settings name no policy for it, or where the bucket is on another cloud, which
        no role in AWS opens."""
        if settings.run_policy is None or not settings.bucket_url.startswith("s3://"):
            return None
        return cls(run, settings.run_policy, base)

    @property
    def name(self) -> str:
        """The policy's name and a hash of the run's id: a role's name has at most 64 letters, and an id up to 100."""
        return f"{self.policy.rpartition('/')[2][:40]}-{hashlib.sha256(self.run.encode()).hexdigest()[:20]}"

    def make(self) -> str:
        """Create the role and its instance profile where they are missing, and return the profile's name.

        Raises:
            ConfigError: these credentials may not do so, or AWS does not answer.
            RefusedError: a role of that name exists that is not this run's alone.
        """
        tags = [{"Key": RUN_TAG, "Value": self.run}]
        of_base = [{"Key": BASE_TAG, "Value": self.base}] if self.base else []
        try:
            iam = aws_api.client("iam")
            _unless_there(
                lambda: iam.create_role(
                    RoleName=self.name,
                    AssumeRolePolicyDocument=json.dumps(TRUST),
                    Description="The machines of one run",
                    # With this boundary, policies that are attached by mistake give the role no further rights.
                    PermissionsBoundary=self.policy,
                    Tags=[*tags, *of_base],
                )
            )
            self._require_ours(iam)
            if of_base:  # a first launch may have made the role without it, because the hub did not answer
                iam.tag_role(RoleName=self.name, Tags=of_base)
            iam.attach_role_policy(RoleName=self.name, PolicyArn=self.policy)
            _unless_there(lambda: iam.create_instance_profile(InstanceProfileName=self.name, Tags=tags))
            _unless_there(lambda: iam.add_role_to_instance_profile(InstanceProfileName=self.name, RoleName=self.name))
        except aws_api.error_types() as error:
            if aws_api.error_code(error) in aws_api.EXPIRED:
                raise ConfigError(f"run {self.run} gets no role of its own: {aws_api.describe_error(error)}") from error
            raise ConfigError(
                f"run {self.run} gets no role of its own ({aws_api.describe_error(error)}): let these "
                f"credentials create roles and instance profiles called {self.name.rpartition('-')[0]}-*, "
                "or use a profile that may (AWS_PROFILE)"
            ) from error
        return self.name

    def remove(self) -> None:
        """Remove the role and its instance profile; no error if they are gone already.

        Raises:
            ConfigError: these credentials may not do so, or AWS does not answer.
        """
        name = self.name
        try:
            iam = aws_api.client("iam")
            _unless_gone(lambda: iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name))
            _unless_gone(lambda: iam.delete_instance_profile(InstanceProfileName=name))
            _unless_gone(lambda: iam.detach_role_policy(RoleName=name, PolicyArn=self.policy))
            _unless_gone(lambda: iam.delete_role(RoleName=name))
        except aws_api.error_types() as error:
            raise ConfigError(
                f"the role {name} of run {self.run} stays ({aws_api.describe_error(error)}); it costs nothing, and "
                f"`cortex teardown {self.run}` takes it away once AWS lets it"
            ) from error

    def _require_ours(self, iam: Any) -> None:
        role = iam.get_role(RoleName=self.name)["Role"]
        tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
        inline = iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        attached = [
            each["PolicyArn"] for each in iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]
        ]
        trusted = role["AssumeRolePolicyDocument"] == TRUST
        named = tags.get(RUN_TAG) == self.run and tags.get(BASE_TAG) in (None, self.base)
        if not named or inline or set(attached) - {self.policy} or not trusted:
            raise RefusedError(
                f"the role {self.name} is not as a launch of run {self.run} makes it: somebody changed its tags, "
                "policies or trust; delete it, then launch again"
            )


def _unless_there(make: Callable[[], Any]) -> None:
    _unless(_EXISTS, make)


def _unless_gone(remove: Callable[[], Any]) -> None:
    _unless((_GONE,), remove)


def _unless(done: Collection[str], call: Callable[[], Any]) -> None:
    """Call AWS; an error with one of the codes `done` means that there is nothing to do, and is ignored."""
    try:
        call()
    except aws_api.error_types() as error:
        if aws_api.error_code(error) not in done:
            raise
