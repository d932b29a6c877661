"""Rights of machines, which they get by their instance profiles."""

import pulumi
import pulumi_aws as aws

from infra.policies import instance_trust


class MachineRole(pulumi.ComponentResource):
    """A role with one policy, and the instance profile of the same name that machines are started with."""

    def __init__(
        self,
        name: str,
        *,
        role_name: str,
        description: str,
        policy: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        # The type's name stays as existing stacks have it in their state, though the class has another.
        super().__init__("cortex:ground:WorkerRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=role_name,
            description=description,
            assume_role_policy=instance_trust(),
            opts=child,
        )
        given = aws.iam.RolePolicy(name, name="work", role=role.id, policy=policy, opts=child)
        # The next `up` detaches policies that somebody attached by hand.
        aws.iam.RolePoliciesExclusive(name, role_name=role.name, policy_names=[given.name], opts=child)
        aws.iam.RolePolicyAttachmentsExclusive(name, role_name=role.name, policy_arns=[], opts=child)
        profile = aws.iam.InstanceProfile(name, name=role_name, role=role.name, opts=child)
        self.instance_profile: pulumi.Output[str] = profile.name
        self.register_outputs({"instance_profile": self.instance_profile})


class RunPolicy(pulumi.ComponentResource):
    """The policy of every run's role. A launch creates the role; its tag, the run's id, limits its scope."""

    def __init__(
        self, name: str, *, policy_name: str, policy: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cortex:ground:RunPolicy", name, None, opts)
        made = aws.iam.Policy(
            name,
            name=policy_name,
            description="Training machines: their own run, their data, their images",
            policy=policy,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn: pulumi.Output[str] = made.arn
        self.register_outputs({"arn": self.arn})
