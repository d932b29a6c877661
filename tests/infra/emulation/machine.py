"""A machine, its network interface and its address."""

import pathlib
from typing import Any

from tests.infra.emulation.account import Account, Inputs, Made, pascal, tags


class Machine(Account):
    """Each method makes the resource of its name, or answers as the function of its name."""

    def ssm_get_parameter(self, i: Inputs) -> dict[str, Any]:
        found = self.client("ssm").get_parameter(Name=i["name"])["Parameter"]
        return {"id": i["name"], "name": i["name"], "value": found["Value"], "arn": found["ARN"]}

    def ec2_get_instance_type_offerings(self, i: Inputs) -> dict[str, Any]:
        asked = [{"Name": each["name"], "Values": each["values"]} for each in i["filters"]]
        kind = i["location_type"]
        found = self.client("ec2").describe_instance_type_offerings(LocationType=kind, Filters=asked)
        return {"id": self.region, "locations": [each["Location"] for each in found["InstanceTypeOfferings"]]}

    def ec2_eip(self, i: Inputs) -> Made:
        listed = [{"ResourceType": "elastic-ip", "Tags": tags(i)}]
        made = self.client("ec2").allocate_address(Domain=i["domain"], TagSpecifications=listed)
        return made["AllocationId"], {"publicIp": made["PublicIp"]}

    def ec2_network_interface(self, i: Inputs) -> Made:
        made = self.client("ec2").create_network_interface(
            SubnetId=i["subnet_id"],
            Groups=i["security_groups"],
            Description=i["description"],
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags(i)}],
        )
        return made["NetworkInterface"]["NetworkInterfaceId"], {}

    def ec2_eip_association(self, i: Inputs) -> Made:
        made = self.client("ec2").associate_address(
            AllocationId=i["allocation_id"], NetworkInterfaceId=i["network_interface_id"]
        )
        return made["AssociationId"], {}

    def ec2_instance(self, i: Inputs) -> Made:
        disk = {pascal(key): value for key, value in i["root_block_device"].items()}
        given: dict[str, Any] = {
            "NetworkInterfaces": [
                {"DeviceIndex": 0, "NetworkInterfaceId": i["primary_network_interface"]["network_interface_id"]}
            ],
            "MetadataOptions": {pascal(key): value for key, value in i.get("metadata_options", {}).items()},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}],
        }
        made = self.client("ec2").run_instances(
            ImageId=i["ami"],
            InstanceType=i["instance_type"],
            MinCount=1,
            MaxCount=1,
            UserData=i["user_data"],
            IamInstanceProfile={"Name": i["iam_instance_profile"]},
            TagSpecifications=[{"ResourceType": kind, "Tags": tags(i)} for kind in ("instance", "volume")],
            **given,
        )
        return made["Instances"][0]["InstanceId"], {}

    def s3_bucket_objectv2(self, i: Inputs) -> Made:
        with pathlib.Path(i["source"].path).open("rb") as file:
            self.client("s3").put_object(Bucket=i["bucket"], Key=i["key"], Body=file)
        return i["key"], {}
