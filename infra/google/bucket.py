"""The artifacts bucket at Google, for runs on its machines."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.google.config import SUPERSEDED_DAYS
from infra.storage import UPLOAD_DAYS

DAY = 24 * 3600

WORKER = "roles/storage.objectUser"
"""Role that may read, write, list and delete objects, but change neither the bucket nor its access."""


class GcsBucket(pulumi.ComponentResource):
    """A private, versioned bucket in Google Cloud Storage, which always encrypts at rest and in transit.

    Lifecycle rules at Google match neither tags nor the middle of a name, so no rule can select only checkpoints. Those
    that no run has pruned stay; those that were pruned are deleted like every object that was replaced or deleted.

    `worker` is the member whose machines use the bucket. Deleted versions can be restored for `soft_delete_days`. The
    bucket is created after the resources in `after`.
    """

    def __init__(
        self,
        name: str,
        *,
        bucket: str,
        location: str,
        labels: dict[str, str],
        worker: pulumi.Input[str],
        soft_delete_days: int,
        emptied_on_delete: bool,
        kept: bool,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:GcsBucket", name, None, opts)
        made = gcp.storage.Bucket(
            name,
            name=bucket,
            location=location,
            labels=labels,
            force_destroy=emptied_on_delete,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=gcp.storage.BucketVersioningArgs(enabled=True),
            # Versions protect against mistakes; soft delete also protects against a machine that deletes the versions.
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(
                retention_duration_seconds=soft_delete_days * DAY
            ),
            lifecycle_rules=[
                _rule("AbortIncompleteMultipartUpload", age=UPLOAD_DAYS),
                _rule("Delete", days_since_noncurrent_time=SUPERSEDED_DAYS, with_state="ARCHIVED"),
            ],
            opts=pulumi.ResourceOptions(parent=self, protect=kept, depends_on=list(after)),
        )
        gcp.storage.BucketIAMMember(
            f"{name}-worker", bucket=made.name, role=WORKER, member=worker, opts=pulumi.ResourceOptions(parent=self)
        )
        self.bucket: pulumi.Output[str] = made.name
        self.register_outputs({"bucket": self.bucket})


def _rule(
    action: str, *, age: int | None = None, days_since_noncurrent_time: int | None = None, with_state: str | None = None
) -> gcp.storage.BucketLifecycleRuleArgs:
    return gcp.storage.BucketLifecycleRuleArgs(
        action=gcp.storage.BucketLifecycleRuleActionArgs(type=action),
        condition=gcp.storage.BucketLifecycleRuleConditionArgs(
            age=age, days_since_noncurrent_time=days_since_noncurrent_time, with_state=with_state
        ),
    )
