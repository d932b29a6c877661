"""The artifacts bucket at Google, for runs on its machines."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.google.config import SUPERSEDED_DAYS
from infra.storage import UPLOAD_DAYS

DAY = 24 * 3600

WORKER = "roles/storage.objectUser"
"""Read, write, list and delete objects; change neither the bucket nor who may use it."""


class GcsBucket(pulumi.ComponentResource):
    """A private, versioned bucket in Google Cloud Storage (which encrypts at rest, and speaks TLS, by itself).

    Rules of a lifecycle here know neither tags nor the middle of a name, so no rule can find checkpoints alone: those
    that nobody pruned stay, and what was pruned goes as everything that was replaced or deleted does.
    `worker` is the member whose machines use it; a deleted version can be brought back for `soft_delete_days`; what is
    in `after` must be there before.
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
            # Versions guard against a mistake; this guards against a machine that deletes the versions, too.
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
