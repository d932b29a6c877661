"""The service account that machines at Google carry, with what SkyPilot asks of it and no more."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

ACCOUNT = "skypilot-v1"
"""SkyPilot 0.14.1 puts this account on every machine, whatever one asks for. Where it lacks a permission of the list
below, SkyPilot gives it four roles on the whole project: `storage.admin`, `compute.admin`, `iam.serviceAccountUser` and
`iam.roleViewer`. So it is made before SkyPilot's first launch, with the list."""

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
"""What SkyPilot's launch looks for on the project where the network is not its own. With autostop a machine needs three
of them, `compute.instances.list`, `delete` and `compute.zoneOperations.get`; SkyPilot insists on the others. Among them
is no right to a bucket's objects, to change anybody's rights, or to act as an account: what it starts has none."""


class GoogleWorker(pulumi.ComponentResource):
    """SkyPilot's account for machines, and a role of exactly its permissions on the project."""

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
