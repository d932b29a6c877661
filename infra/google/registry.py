"""Registry of images for Google's machines."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from infra.registry import UNTAGGED_DAYS

READER = "roles/artifactregistry.reader"


class GoogleRegistry(pulumi.ComponentResource):
    """One repository for all images: tags are immutable, and untagged images are deleted. `worker` may pull."""

    def __init__(
        self,
        name: str,
        *,
        repository: str,
        project: str,
        location: str,
        labels: dict[str, str],
        worker: pulumi.Input[str],
        kept: bool,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:GoogleRegistry", name, None, opts)
        made = gcp.artifactregistry.Repository(
            name,
            repository_id=repository,
            location=location,
            format="DOCKER",
            labels=labels,
            docker_config=gcp.artifactregistry.RepositoryDockerConfigArgs(immutable_tags=True),
            # No rule for tagged images: with immutable tags, Google's rules delete no image that has a tag.
            cleanup_policies=[
                gcp.artifactregistry.RepositoryCleanupPolicyArgs(
                    id="untagged",
                    action="DELETE",
                    condition=gcp.artifactregistry.RepositoryCleanupPolicyConditionArgs(
                        tag_state="UNTAGGED", older_than=f"{UNTAGGED_DAYS}d"
                    ),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, protect=kept, depends_on=list(after)),
        )
        gcp.artifactregistry.RepositoryIamMember(
            f"{name}-worker",
            repository=made.name,
            location=location,
            role=READER,
            member=worker,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url: pulumi.Output[str] = made.name.apply(lambda name: f"{location}-docker.pkg.dev/{project}/{name}")
        self.register_outputs({"url": self.url})
