"""The key that encrypts all stored data."""

import pulumi
import pulumi_aws as aws

from infra.policies import key_policy

KEPT_DAYS = 30
"""Days for which a deleted key can be restored, the most that AWS allows: without the key, all data is lost."""

BRIEF_DAYS = 7
"""The same for stacks whose data is not protected; the least that AWS allows."""


class DataKey(pulumi.ComponentResource):
    """A KMS key that AWS rotates every year, and its alias."""

    def __init__(
        self, name: str, *, alias: str, account: str, protected: bool, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cortex:ground:DataKey", name, None, opts)
        key = aws.kms.Key(
            name,
            description=f"Data at rest of {alias}",
            policy=key_policy(account),
            enable_key_rotation=True,
            deletion_window_in_days=KEPT_DAYS if protected else BRIEF_DAYS,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.kms.Alias(name, name=f"alias/{alias}", target_key_id=key.id, opts=pulumi.ResourceOptions(parent=self))
        self.arn: pulumi.Output[str] = key.arn
        self.register_outputs({"arn": self.arn})
