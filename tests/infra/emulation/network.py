"""Networks, and the traffic that may pass through them."""

from typing import Any

from tests.infra.emulation.account import Account, Inputs, Made, pascal, tags


class Network(Account):
    """Each method makes the resource of its name, or answers as the function of its name."""

    def index_get_availability_zones(self, i: Inputs) -> dict[str, Any]:
        asked = [{"Name": "state", "Values": [i["state"]]}]
        asked += [{"Name": each["name"], "Values": each["values"]} for each in i["filters"]]
        found = self.client("ec2").describe_availability_zones(Filters=asked)["AvailabilityZones"]
        return {"id": self.region, "names": [zone["ZoneName"] for zone in found]}

    def ec2_vpc(self, i: Inputs) -> Made:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock=i["cidr_block"], TagSpecifications=_specification("vpc", i))["Vpc"]["VpcId"]
        for attribute in ("enable_dns_support", "enable_dns_hostnames"):
            ec2.modify_vpc_attribute(VpcId=vpc, **{pascal(attribute): {"Value": bool(i.get(attribute))}})
        return vpc, {"arn": f"arn:aws:ec2:{self.region}:{self.account}:vpc/{vpc}"}

    def ec2_default_security_group(self, i: Inputs) -> Made:
        ec2 = self.client("ec2")
        filters = [{"Name": "vpc-id", "Values": [i["vpc_id"]]}, {"Name": "group-name", "Values": ["default"]}]
        (group,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        assert not i.get("ingress") and not i.get("egress"), "only a closed default group is emulated"
        if group["IpPermissions"]:
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
        ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
        ec2.create_tags(Resources=[group["GroupId"]], Tags=tags(i))
        return group["GroupId"], {}

    def ec2_internet_gateway(self, i: Inputs) -> Made:
        ec2 = self.client("ec2")
        made = ec2.create_internet_gateway(TagSpecifications=_specification("internet-gateway", i))
        gateway = made["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=i["vpc_id"])
        return gateway, {}

    def ec2_route_table(self, i: Inputs) -> Made:
        made = self.client("ec2").create_route_table(
            VpcId=i["vpc_id"], TagSpecifications=_specification("route-table", i)
        )
        return made["RouteTable"]["RouteTableId"], {}

    def ec2_route(self, i: Inputs) -> Made:
        self.client("ec2").create_route(
            RouteTableId=i["route_table_id"],
            DestinationCidrBlock=i["destination_cidr_block"],
            GatewayId=i["gateway_id"],
        )
        return f"{i['route_table_id']}-outside", {}

    def ec2_subnet(self, i: Inputs) -> Made:
        ec2 = self.client("ec2")
        made = ec2.create_subnet(
            VpcId=i["vpc_id"],
            CidrBlock=i["cidr_block"],
            AvailabilityZone=i["availability_zone"],
            TagSpecifications=_specification("subnet", i),
        )
        subnet = made["Subnet"]["SubnetId"]
        public = bool(i.get("map_public_ip_on_launch"))
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": public})
        return subnet, {}

    def ec2_route_table_association(self, i: Inputs) -> Made:
        made = self.client("ec2").associate_route_table(SubnetId=i["subnet_id"], RouteTableId=i["route_table_id"])
        return made["AssociationId"], {}

    def ec2_vpc_endpoint(self, i: Inputs) -> Made:
        given = {
            "VpcEndpointType": i["vpc_endpoint_type"],
            "RouteTableIds": i.get("route_table_ids", []),
            "PolicyDocument": i.get("policy"),
        }
        made = self.client("ec2").create_vpc_endpoint(
            VpcId=i["vpc_id"],
            ServiceName=i["service_name"],
            TagSpecifications=_specification("vpc-endpoint", i),
            **{name: value for name, value in given.items() if value},
        )
        return made["VpcEndpoint"]["VpcEndpointId"], {}

    def ec2_security_group(self, i: Inputs) -> Made:
        ec2 = self.client("ec2")
        made = ec2.create_security_group(
            GroupName=i["name"],
            Description=i["description"],
            VpcId=i["vpc_id"],
            TagSpecifications=_specification("security-group", i),
        )["GroupId"]
        # The real provider removes the rule that allows all outgoing traffic.
        (group,) = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
        ec2.revoke_security_group_egress(GroupId=made, IpPermissions=group["IpPermissionsEgress"])
        return made, {}

    def vpc_security_group_ingress_rule(self, i: Inputs) -> Made:
        made = self.client("ec2").authorize_security_group_ingress(**_rule(i))
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"], {}

    def vpc_security_group_egress_rule(self, i: Inputs) -> Made:
        made = self.client("ec2").authorize_security_group_egress(**_rule(i))
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"], {}


def _specification(kind: str, inputs: Inputs) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags(inputs)}] if inputs["tags"] else []


def _rule(inputs: Inputs) -> Inputs:
    permission: Inputs = {"IpProtocol": inputs["ip_protocol"]}
    if inputs["ip_protocol"] != "-1":
        permission |= {"FromPort": inputs["from_port"], "ToPort": inputs["to_port"]}
    if "cidr_ipv4" in inputs:
        permission["IpRanges"] = [{"CidrIp": inputs["cidr_ipv4"]}]
    if "cidr_ipv6" in inputs:
        permission["Ipv6Ranges"] = [{"CidrIpv6": inputs["cidr_ipv6"]}]
    if "referenced_security_group_id" in inputs:
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referenced_security_group_id"]}]
    return {
        "GroupId": inputs["security_group_id"],
        "IpPermissions": [permission],
        "TagSpecifications": _specification("security-group-rule", inputs),
    }
