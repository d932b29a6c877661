"""Buckets: private, versioned, encrypted under our key, reached over TLS, and swept of what nobody needs."""

from collections.abc import Sequence
from typing import TypeAlias

import pulumi
import pulumi_aws as aws

from cortex.artifacts.names import BASES, CHECKPOINT_TAG
from infra.policies import bucket_policy

UPLOAD_DAYS = 2
"""An upload that was not completed by then belongs to a machine that is gone."""

SUPERSEDED_DAYS = 3
"""How long a pruned checkpoint can still be brought back."""

Rule: TypeAlias = aws.s3.BucketLifecycleConfigurationRuleArgs


class PrivateBucket(pulumi.ComponentResource):
    """A bucket and all that keeps it private, safe and small.

    `rules` are lifecycle rules beside the one that every bucket has: incomplete uploads and leftover delete markers go.
    The other patterns are as in `bucket_policy`.
    """

    def __init__(
        self,
        name: str,
        *,
        bucket: str,
        key: pulumi.Input[str],
        rules: list[Rule],
        emptied_on_delete: bool,
        create_only: Sequence[str] = (),
        tagged: Sequence[str] = (),
        untagged: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = aws.s3.Bucket(name, bucket=bucket, force_destroy=emptied_on_delete, opts=child)
        private = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=made.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=made.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=made.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="aws:kms", kms_master_key_id=key
                    ),
                    bucket_key_enabled=True,
                )
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=made.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=made.id,
            rules=[leftovers(), *rules],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            name,
            bucket=made.id,
            policy=pulumi.Output.all(made.arn, key).apply(
                lambda arns: bucket_policy(arns[0], arns[1], create_only, tagged, untagged)
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        self.bucket: pulumi.Output[str] = made.bucket
        self.arn: pulumi.Output[str] = made.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})


def leftovers() -> Rule:
    """Remove parts of uploads that never ended, and delete markers with nothing behind them."""
    return Rule(
        id="leftovers",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=UPLOAD_DAYS
        ),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
    )


def old_checkpoints(days: int) -> Rule:
    """Remove checkpoints of that age, and pruned ones sooner.

    A lifecycle rule finds objects by prefix or tag alone, and a checkpoint's prefix begins with its run: so it goes by
    a tag, which the bucket's policy lets nobody give to anything else. Releases, leases and ledgers can have none.
    """
    key, value = CHECKPOINT_TAG
    return Rule(
        id="old-checkpoints",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(
            tag=aws.s3.BucketLifecycleConfigurationRuleFilterTagArgs(key=key, value=value)
        ),
        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=SUPERSEDED_DAYS
        ),
    )


def superseded_bases() -> Rule:
    """Remove what a second writing of a base's copy replaced: equal bytes, or damaged ones, a hundred GB of them."""
    return _superseded("superseded-bases", SUPERSEDED_DAYS, f"{BASES}/")


def old_versions(days: int) -> Rule:
    """Remove what was overwritten or deleted that long ago."""
    return _superseded("old-versions", days, "")


def _superseded(name: str, days: int, below: str) -> Rule:
    return Rule(
        id=name,
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=below),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=days
        ),
    )
