"""The cloud's control plane: moto's EC2, S3 and IAM behind one address, with an account that SkyPilot finds usable."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.testbed.catalog import ZONES
from tests.testbed.machine import Order
from tests.testbed.network import GATEWAY

PORT = 5000
ENDPOINT = f"http://{GATEWAY}:{PORT}"
"""The one address of every service, for the bed and for its machines."""

BUCKET = "cortex-testbed"
KEY = "testbed"
"""The account's access key, and its secret."""

ROLE = "skypilot-v1"
"""SkyPilot's name for the role of its machines, and for the role's instance profile."""

ACCOUNT: Mapping[str, str] = {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_DEFAULT_REGION": next(iter(ZONES)),
    "AWS_REGION": next(iter(ZONES)),
    "AWS_ALLOW_HTTP": "true",
}


class Cloud:
    """moto's server, and the bed's requests to it."""

    def __init__(self, log: Path, drought: Path) -> None:
        """`drought`: a file; while it exists, no spot machine is sold."""
        # Loading Amazon's own images and policies would only take time.
        variables = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "false", "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.testbed.control_plane", GATEWAY, str(PORT), drought],
                env=os.environ | variables | {"MOTO_PORT": str(PORT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._ec2 = {region: self._client("ec2", region) for region in ZONES}
        self._orders: dict[str, Order] = {}

    def furnish(self) -> dict[str, str]:
        """Make what an account needs before anybody can launch, and return each region's machine image."""
        self._wait()
        self._client("s3", next(iter(ZONES))).create_bucket(Bucket=BUCKET)
        _admit_machines(self._client("iam", next(iter(ZONES))))
        for ec2 in self._ec2.values():
            _open_to_the_internet(ec2)
        return {region: _image(ec2, region) for region, ec2 in self._ec2.items()}

    def rented(self) -> list[Order]:
        """The machines that should be running."""
        wanted = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        found = {
            instance["InstanceId"]: (region, instance)
            for region, ec2 in self._ec2.items()
            for reservation in ec2.describe_instances(Filters=wanted)["Reservations"]
            for instance in reservation["Instances"]
        }
        # An instance's attributes do not change while it runs; reading them twice a second would keep moto busy.
        self._orders = {name: self._orders.get(name) or self._order(*known) for name, known in found.items()}
        return list(self._orders.values())

    def terminate(self, order: Order) -> None:
        """End a machine, as the cloud does when it wants its capacity back."""
        self._ec2[order.region].terminate_instances(InstanceIds=[order.id])

    def ended(self, order: Order) -> float | None:
        """Time at which a machine ceased to cost, by the cloud's own record; None where it has none."""
        found = self._ec2[order.region].describe_instances(InstanceIds=[order.id])["Reservations"]
        reasons = [each.get("StateTransitionReason", "") for held in found for each in held["Instances"]]
        moment = re.search(r"\((.+) UTC\)", "".join(reasons))
        return datetime.fromisoformat(moment[1]).replace(tzinfo=UTC).timestamp() if moment else None

    def _order(self, region: str, instance: Mapping[str, Any]) -> Order:
        found = self._ec2[region].describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
        return Order(
            id=instance["InstanceId"],
            region=region,
            zone=instance["Placement"]["AvailabilityZone"],
            type=instance["InstanceType"],
            spot=instance.get("InstanceLifecycle") == "spot",
            private=instance["PrivateIpAddress"],
            public=instance.get("PublicIpAddress"),
            launched=instance["LaunchTime"],
            user_data=found.get("UserData", {}).get("Value", ""),
            tags={tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())},
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.rented()
                return
            except BotoCoreError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.2)

    @staticmethod
    def _client(service: str, region: str) -> Any:
        return boto3.client(
            service,  # type: ignore[arg-type]
            region_name=region,
            endpoint_url=ENDPOINT,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            config=Config(retries={"total_max_attempts": 1}),
        )


def _image(ec2: Any, region: str) -> str:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}
    return ec2.register_image(
        Name=f"testbed-{region}",
        RootDeviceName="/dev/sda1",
        Architecture="x86_64",
        VirtualizationType="hvm",
        BlockDeviceMappings=[disk],
    )["ImageId"]


def _admit_machines(iam: Any) -> None:
    """Make the role that SkyPilot's first launch would make, and then wait half a minute for."""
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName=ROLE)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)


def _open_to_the_internet(ec2: Any) -> None:
    """Give the default network the gateway and the route that every real account has; SkyPilot looks for them."""
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
