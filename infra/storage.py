"""Buckets: private, versioned, encrypted by the stack's key, reached over TLS, with rules that delete old objects."""

from collections.abc import Sequence
from typing import TypeAlias

import pulumi
import pulumi_aws as aws

from cortex.artifacts.file_names import BASES, CHECKPOINT_TAG
from infra.policies import bucket_policy

UPLOAD_DAYS = 2
"""Days after which an incomplete upload is deleted: its machine is gone."""

SUPERSEDED_DAYS = 3
"""Days for which a pruned checkpoint can be restored."""

Rule: TypeAlias = aws.s3.BucketLifecycleConfigurationRuleArgs


class PrivateBucket(pulumi.ComponentResource):
    """A bucket and all resources that keep it private, safe and small.

    `rules` are further lifecycle rules, besides the one that deletes incomplete uploads and leftover delete markers in
    every bucket. The name patterns are those of `bucket_policy`.
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
        self._child = pulumi.ResourceOptions(parent=self)
        made = aws.s3.Bucket(name, bucket=bucket, force_destroy=emptied_on_delete, opts=self._child)
        private = self._block_public_access(name, made)
        self._encrypt(name, made, key)
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=made.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=self._child,
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

    def _block_public_access(self, name: str, made: aws.s3.Bucket) -> aws.s3.BucketPublicAccessBlock:
        """Refuse access lists and policies that would open the bucket; its owner also owns all objects in it."""
        private = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=made.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=made.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._child,
        )
        return private

    def _encrypt(self, name: str, made: aws.s3.Bucket, key: pulumi.Input[str]) -> None:
        """Encrypt new objects under the key by default."""
        by_default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="aws:kms", kms_master_key_id=key
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=made.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=by_default,
                    # One request to the key service for many objects: it bills each request.
                    bucket_key_enabled=True,
                )
            ],
            opts=self._child,
        )


def leftovers() -> Rule:
    """Rule that deletes parts of incomplete uploads, and delete markers without any version behind them."""
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
    """Rule that deletes checkpoints of that age, and pruned ones sooner.

    A lifecycle rule selects objects only by prefix or tag, and a checkpoint's prefix begins with its run's id. So the
    rule goes by a tag, which the bucket's policy allows on checkpoints only, and not on releases, leases or ledgers.
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
    """Rule that deletes replaced versions of a base's copy: equal or damaged bytes, which may be a hundred GB."""
    return _superseded("superseded-bases", SUPERSEDED_DAYS, f"{BASES}/")


def old_versions(days: int) -> Rule:
    """Rule that deletes versions which were overwritten or deleted that long ago."""
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
