"""The service account of machines at Google, with exactly the permissions that SkyPilot requires."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

ACCOUNT = "skypilot-v1"
"""Account that SkyPilot 0.14.1 gives every machine, whatever its configuration says. Where the account lacks a
permission of the list below, SkyPilot gives it four roles on the whole project: `storage.admin`, `compute.admin`,
`iam.serviceAccountUser` and `iam.roleViewer`. So the stack creates it with the list, before SkyPilot's first launch."""

PERMISSIONS = (
    "compute.disks.create",
    "compute.disks.list",
    "compute.firewalls.get",
    "compute.globalOperations.get",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.list",
    "compute.instances.setLabels",
    "compute.instances.setServiceAccount",
    "compute.instances.start",
    "compute.instances.stop",
    "compute.networks.get",
    "compute.networks.getEffectiveFirewalls",
    "compute.networks.list",
    "compute.projects.get",
    "compute.subnetworks.list",
    "compute.subnetworks.use",
    "compute.subnetworks.useExternalIp",
    "compute.zoneOperations.get",
    "iam.roles.get",
    "iam.serviceAccounts.get",
    "resourcemanager.projects.get",
    "resourcemanager.projects.getIamPolicy",
    "serviceusage.services.enable",
    "serviceusage.services.list",
    "serviceusage.services.use",
)
"""Permissions on the project that SkyPilot checks at a launch in a network that it did not create. A machine with
autostop needs three of them, `compute.instances.list`, `delete` and `compute.zoneOperations.get`; the others are only
checked. None of them allows to read a bucket's objects, to change anybody's rights, or to act as another account."""


class GoogleWorker(pulumi.ComponentResource):
    """SkyPilot's account for machines, and a role with exactly `PERMISSIONS` on the project."""

    def __init__(
        self,
        name: str,
        *,
        project: str,
        role: str,
        stack: str,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:GoogleWorker", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        account = gcp.serviceaccount.Account(
            name,
            account_id=ACCOUNT,
            display_name=f"Machines of {stack}",
            description="Carried by every machine that SkyPilot starts in this project",
            opts=child,
        )
        made = gcp.projects.IAMCustomRole(
            name,
            role_id=role,
            title=f"Machines of {stack}",
            description="What SkyPilot asks of the machines that it starts",
            permissions=list(PERMISSIONS),
            opts=child,
        )
        self.email: pulumi.Output[str] = account.email
        self.member: pulumi.Output[str] = account.email.apply(lambda email: f"serviceAccount:{email}")
        gcp.projects.IAMMember(name, project=project, role=made.name, member=self.member, opts=child)
        self.role: pulumi.Output[str] = made.name
        self.register_outputs({"email": self.email, "role": self.role})
