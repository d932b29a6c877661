"""Registry of images: repositories, and rules that delete old images."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

UNTAGGED_DAYS = 7
KEPT_IMAGES = 50


class ImageRegistry(pulumi.ComponentResource):
    """One repository per image: tags are immutable, pushes are scanned, and old images are deleted.

    `repositories` maps an image's name to its repository's.
    """

    def __init__(
        self,
        name: str,
        *,
        repositories: Mapping[str, str],
        emptied_on_delete: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:ImageRegistry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.urls: dict[str, pulumi.Output[str]] = {}
        self.arns: dict[str, pulumi.Output[str]] = {}
        for image, repository in repositories.items():
            made = aws.ecr.Repository(
                f"{name}-{image}",
                name=repository,
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
                force_delete=emptied_on_delete,
                opts=child,
            )
            aws.ecr.LifecyclePolicy(f"{name}-{image}", repository=made.name, policy=lifecycle(), opts=child)
            self.urls[image] = made.repository_url
            self.arns[image] = made.arn
        self.register_outputs({"urls": self.urls})


def lifecycle() -> str:
    """Lifecycle policy that deletes untagged images, and all but the newest ones."""
    untagged = {
        "rulePriority": 1,
        "description": "untagged",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    surplus = {
        "rulePriority": 2,
        "description": "beyond the newest",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [untagged, surplus]})
