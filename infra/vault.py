"""Secrets by name: the program makes the place, a person puts the value in."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

RECOVERY_DAYS = 30


class NamedSecrets(pulumi.ComponentResource):
    """Empty secrets under our key. Values never pass through the program, so they are not in its state either.

    `secrets` maps the kit's name of a secret to its full name. A protected one can be called back for 30 days; one that
    is not is gone at once, so that the same name can be made again.
    """

    def __init__(
        self,
        name: str,
        *,
        secrets: Mapping[str, str],
        key: pulumi.Input[str],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:NamedSecrets", name, None, opts)
        self.arns: dict[str, pulumi.Output[str]] = {}
        for short, full in secrets.items():
            secret = aws.secretsmanager.Secret(
                f"{name}-{short}",
                name=full,
                kms_key_id=key,
                recovery_window_in_days=RECOVERY_DAYS if protected else 0,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.arns[short] = secret.arn
        self.register_outputs({"arns": self.arns})
