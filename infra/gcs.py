"""The same bucket at Google, for runs on its machines."""

import pulumi
import pulumi_gcp as gcp

UPLOAD_DAYS = 2
RECOVERY_SECONDS = 7 * 24 * 3600
"""How long a deleted object can be brought back."""


class GcsBucket(pulumi.ComponentResource):
    """A private, versioned bucket in Google Cloud Storage (which encrypts at rest, and speaks TLS, by itself)."""

    def __init__(
        self,
        name: str,
        *,
        bucket: str,
        project: str,
        location: str,
        labels: dict[str, str],
        emptied_on_delete: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:GcsBucket", name, None, opts)
        made = gcp.storage.Bucket(
            name,
            name=bucket,
            project=project,
            location=location,
            labels=labels,
            force_destroy=emptied_on_delete,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=gcp.storage.BucketVersioningArgs(enabled=True),
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(retention_duration_seconds=RECOVERY_SECONDS),
            lifecycle_rules=[
                gcp.storage.BucketLifecycleRuleArgs(
                    action=gcp.storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                    condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=UPLOAD_DAYS),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.bucket: pulumi.Output[str] = made.name
        self.register_outputs({"bucket": self.bucket})
