"""The stack at Google: a bucket for its machines, a closed network, and an account that SkyPilot leaves as it is."""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any
from unittest.mock import patch

import pytest
from sky import skypilot_config
from sky.clouds.utils import gcp_utils
from sky.provision.common import ProvisionConfig, ProvisionerError
from sky.provision.gcp import config as sky_gcp
from sky.provision.gcp import constants
from sky.utils import config_utils

from infra.google.network import CIDR
from infra.outputs import GcpOutputs, sky_config
from tests.infra.emulation.engine import Declared
from tests.infra.world import World

AUTOSTOP = {"compute.instances.list", "compute.instances.delete", "compute.zoneOperations.get"}
"""Calls by which the last machine of a cluster ends itself: `terminate_instances` of SkyPilot's GCP provisioner."""

TOO_MUCH = ("storage.", "iam.serviceAccounts.actAs", "setIamPolicy", "serviceAccountKeys", "firewalls.create")
"""Rights to objects of any bucket, to others' identities, to grant rights, and to open the network."""


def google_bucket_is_private_and_swept(world: World) -> None:
    inputs = _one(world, "gcp:storage/bucket:Bucket").inputs
    assert inputs["public_access_prevention"] == "enforced" and inputs["uniform_bucket_level_access"]
    assert inputs["versioning"] == {"enabled": True} and inputs["labels"] == world.names.tags
    rules = {rule["action"]["type"]: rule["condition"] for rule in inputs["lifecycle_rules"]}
    assert rules == {
        "AbortIncompleteMultipartUpload": {"age": 2},
        # Only replaced or deleted objects: a current one is never removed for its age.
        "Delete": {"days_since_noncurrent_time": 3, "with_state": "ARCHIVED"},
    }
    assert inputs["soft_delete_policy"] == {"retention_duration_seconds": 7 * 24 * 3600}
    assert _gcp(world).bucket_url == f"gs://{inputs['name']}"
    assert _gcp(world).bucket_url in world.outputs.bucket_urls


def google_account_reaches_its_bucket_and_images_alone(world: World) -> None:
    assert {found.inputs["member"] for found in _grants(world)} == {
        f"serviceAccount:skypilot-v1@{_gcp(world).project}.iam.gserviceaccount.com"
    }
    granted = {(found.type.rpartition(":")[2], found.inputs["role"]) for found in _grants(world)}
    role = _one(world, "gcp:projects/iAMCustomRole:IAMCustomRole").inputs["role_id"]
    assert granted == {
        ("BucketIAMMember", "roles/storage.objectUser"),
        ("RepositoryIamMember", "roles/artifactregistry.reader"),
        ("IAMMember", f"projects/{_gcp(world).project}/roles/{role}"),
    }
    (bucket,) = [found.inputs["bucket"] for found in _grants(world) if "bucket" in found.inputs]
    assert bucket == _gcp(world).bucket


def skypilot_gives_the_google_account_nothing_more(world: World) -> None:
    """SkyPilot's own launch checks the account, and makes it the project's `storage.admin` if it lacks anything."""
    permissions = set(_one(world, "gcp:projects/iAMCustomRole:IAMCustomRole").inputs["permissions"])
    with _configured(world):
        wanted = gcp_utils.get_minimal_compute_permissions()
    assert permissions == set(wanted) and permissions >= AUTOSTOP
    assert not [name for name in permissions if any(part in name for part in TOO_MUCH)]
    account = _one(world, "gcp:serviceaccount/account:Account").inputs["account_id"]
    assert account == constants.SKYPILOT_SERVICE_ACCOUNT_ID
    satisfied, _ = sky_gcp._is_permission_satisfied(
        {"projectId": _gcp(world).project, "email": f"{account}@{_gcp(world).project}.iam.gserviceaccount.com"},
        _Answers(projects={"getIamPolicy": lambda **_: {"bindings": _bindings(world)}}),
        _Answers(roles={"get": lambda name: {"includedPermissions": sorted(permissions)}}),
        wanted,
        constants.DEFAULT_SERVICE_ACCOUNT_ROLES,
    )
    assert satisfied, "SkyPilot would give the account the run of the project"


def google_lets_nothing_in_but_what_is_named(world: World) -> None:
    network = _one(world, "gcp:compute/network:Network")
    assert network.inputs["auto_create_subnetworks"] is False
    inbound: set[tuple[str, str, str]] = set()
    for rule in world.of_type("Firewall"):
        assert rule.inputs["direction"] == "INGRESS" and "target_tags" not in rule.inputs
        for allowed in rule.inputs["allows"]:
            for port in allowed.get("ports", ["all"]):
                inbound |= {(allowed["protocol"], port, source) for source in rule.inputs["source_ranges"]}
    own = [str(source) for source in world.config.ssh_from]
    assert inbound == {
        ("all", "all", str(CIDR)),
        *(("tcp", "22", source) for source in (*world.addresses, *own)),
        *(("tcp", str(port), source) for port in world.config.service_ports for source in own),
    }


def google_machines_reach_their_bucket_from_every_region(world: World) -> None:
    assert world.config.gcp
    subnets = world.of_type("Subnetwork")
    # The subnets are made in parallel, in any order.
    assert sorted(subnet.inputs["region"] for subnet in subnets) == sorted(world.config.gcp.regions)
    assert all(subnet.inputs["private_ip_google_access"] for subnet in subnets)
    networks = [IPv4Network(subnet.inputs["ip_cidr_range"]) for subnet in subnets]
    assert all(network.subnet_of(CIDR) for network in networks)
    assert sum(network.num_addresses for network in networks) == len(set().union(*networks)), "subnets overlap"


def skypilot_finds_its_way_at_google(world: World) -> None:
    """SkyPilot's own search for a network takes ours among all that exist, and asks for no firewall rule."""
    name = _one(world, "gcp:compute/network:Network").inputs["name"]
    given = sky_config(world.outputs)["gcp"]
    subnets = [
        {"name": found.inputs["name"], "network": f"x/{found.inputs['network']}", "region": found.inputs["region"]}
        for found in world.of_type("Subnetwork")
    ]
    compute = _Answers(
        networks={
            "list": lambda project, **given: {"items": [{"name": name}] if given["filter"] == f"name={name}" else []}
        },
        subnetworks={
            "list": lambda project, region: {"items": [found for found in subnets if found["region"] == region]}
        },
    )
    assert world.config.gcp
    for region in world.config.gcp.regions:
        provider = {"project_id": _gcp(world).project, "vpc_name": given["vpc_name"]}
        config = ProvisionConfig(
            provider_config=provider,
            authentication_config={},
            docker_config={},
            node_config={},
            count=1,
            tags={},
            resume_stopped_nodes=False,
            ports_to_open_on_launch=None,
        )
        try:
            network, subnet = sky_gcp.get_usable_vpc_and_subnet("sft-1-ab12", region, config, compute)
        except ProvisionerError as error:
            pytest.fail(f"SkyPilot finds no network in {region}: {error}")
        assert (network, subnet["region"]) == (name, region)


def google_images_stay_as_they_are(world: World) -> None:
    inputs = _one(world, "gcp:artifactregistry/repository:Repository").inputs
    assert inputs["format"] == "DOCKER" and inputs["docker_config"] == {"immutable_tags": True}
    assert inputs["labels"] == world.names.tags
    assert [(rule["action"], rule["condition"]["tag_state"]) for rule in inputs["cleanup_policies"]] == [
        ("DELETE", "UNTAGGED")
    ]
    place = f"{inputs['location']}-docker.pkg.dev/{_gcp(world).project}/{inputs['repository_id']}"
    assert _gcp(world).repository == place


def google_is_the_named_project(world: World) -> None:
    provider = _one(world, "pulumi:providers:gcp")
    assert provider.inputs["project"] == _gcp(world).project
    for resource in world.declared:
        if resource.type.startswith("gcp:"):
            assert "pulumi:providers:gcp::gcp::" in resource.provider, resource
            assert resource.inputs.get("project", _gcp(world).project) == _gcp(world).project


def googles_services_are_on_before_they_are_asked(world: World) -> None:
    """A new project has its services off, and its first `infra-up` would fail."""
    services = {(found.type, found.name): found.inputs for found in world.of_type("Service")}
    assert {inputs["service"].partition(".")[0] for inputs in services.values()} >= {
        "artifactregistry",
        "cloudresourcemanager",
        "compute",
        "iam",
    }
    assert not any(inputs["disable_on_destroy"] for inputs in services.values()), "others in the project may need them"

    def before(resource: tuple[str, str]) -> set[tuple[str, str]]:
        direct = world.waits_for[resource]
        return direct.union(*map(before, direct))

    for resource in world.declared:
        if resource.type.startswith("gcp:") and not resource.type.endswith(":Service"):
            assert before((resource.type, resource.name)) >= set(services), resource.name


class _Answers:
    """A Google client that answers each method of a collection by a function."""

    def __init__(self, **collections: dict[str, Callable[..., Any]]) -> None:
        for name, methods in collections.items():
            setattr(self, name, lambda methods=methods: _Methods(methods, self))

    def projects(self) -> "_Answers":
        """Return this client: collections below a project are found here, too."""
        return self


class _Methods:
    def __init__(self, methods: dict[str, Callable[..., Any]], client: _Answers) -> None:
        self._methods, self._client = methods, client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **words: _Request(self._methods[name](**words))


class _Request:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def execute(self) -> Any:
        return self._answer


def _configured(world: World) -> Any:
    config = config_utils.Config.from_dict(sky_config(world.outputs))
    return patch.object(skypilot_config, "_get_loaded_config", lambda: config)


def _gcp(world: World) -> GcpOutputs:
    assert world.outputs.gcp
    return world.outputs.gcp


def _one(world: World, kind: str) -> Declared:
    (found,) = [resource for resource in world.declared if resource.type == kind and not resource.dropped]
    return found


def _grants(world: World) -> list[Declared]:
    kinds = ("BucketIAMMember", "RepositoryIamMember", "IAMMember")
    return [found for kind in kinds for found in world.of_type(kind)]


def _bindings(world: World) -> list[dict[str, Any]]:
    """The project's own policy, without grants on a bucket or a repository."""
    return [{"role": found.inputs["role"], "members": [found.inputs["member"]]} for found in world.of_type("IAMMember")]
