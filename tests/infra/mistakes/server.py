"""Mistakes about SkyPilot's server."""

from typing import Any

from tests.infra.checks import network, server
from tests.infra.emulation.engine import Declared
from tests.infra.mistakes.edits import Edit, forget, in_statement, put, statement, without, without_statement
from tests.infra.mistakes.mistake import Mistake


def _of_server(title: str, edit: Edit, caught_by: Any) -> Mistake:
    return Mistake(f"server: {title}", "RolePolicy", edit, caught_by, "server")


def _disk(**values: Any) -> Edit:
    return lambda resource: resource.inputs["root_block_device"].update(values)


def _metadata(**values: Any) -> Edit:
    return lambda resource: resource.inputs["metadata_options"].update(values)


def _unlike_the_archive(resource: Declared) -> None:
    resource.inputs["user_data"] = resource.inputs["user_data"].replace("server/", "server/0")


MISTAKES = (
    Mistake(
        "the server's door is open to the world",
        "SecurityGroupIngressRule",
        put(cidr_ipv4="0.0.0.0/0"),
        network.nothing_comes_in_but_what_is_named,
        "server-ssh",
    ),
    Mistake(
        "the server may not reach machines",
        "SecurityGroupIngressRule",
        forget,
        network.nothing_comes_in_but_what_is_named,
        "server-ssh",
    ),
    Mistake(
        "the server is in the machines' group",
        "NetworkInterface",
        lambda resource: resource.inputs.update(security_groups=[]),
        server.server_has_no_open_door,
    ),
    Mistake(
        "the server has no way out", "SecurityGroupEgressRule", forget, server.server_has_no_open_door, "server-outside"
    ),
    Mistake("its address goes with it", "EipAssociation", forget, server.server_comes_from_an_address_that_stays),
    Mistake("its disk is plain", "Instance", _disk(encrypted=False), server.server_keeps_its_disk_and_role_to_itself),
    Mistake(
        "its role is given to any request",
        "Instance",
        _metadata(http_tokens="optional"),
        server.server_keeps_its_disk_and_role_to_itself,
    ),
    Mistake(
        "containers on it get its role",
        "Instance",
        _metadata(http_put_response_hop_limit=2),
        server.server_keeps_its_disk_and_role_to_itself,
    ),
    Mistake(
        "bursts are billed",
        "Instance",
        without("credit_specification"),
        server.server_keeps_its_disk_and_role_to_itself,
    ),
    Mistake(
        "it asks for an archive that is not there",
        "Instance",
        _unlike_the_archive,
        server.server_sets_itself_up_from_what_is_in_the_bucket,
    ),
    _of_server("starts nothing", without_statement("StartTagged"), server.server_can_do_what_skypilot_asks),
    _of_server("cannot tag", without_statement("TagWhatIsStarted"), server.server_can_do_what_skypilot_asks),
    _of_server("ends nothing", without_statement("KeepMachines"), server.server_can_do_what_skypilot_asks),
    _of_server("gives no role", without_statement("GiveRoles"), server.server_can_do_what_skypilot_asks),
    _of_server("no spot", without_statement("UseSpot"), server.server_can_do_what_skypilot_asks),
    _of_server("cannot be reached", without_statement("Sessions"), server.server_can_do_what_skypilot_asks),
    _of_server(
        "ends any", in_statement("KeepMachines", lambda found: found.pop("Condition")), server.server_is_confined
    ),
    _of_server(
        "starts without tags",
        in_statement("StartTagged", lambda found: found.pop("Condition")),
        server.server_is_confined,
    ),
    _of_server(
        "starts anywhere", in_statement("StartHere", lambda found: found.pop("Condition")), server.server_is_confined
    ),
    _of_server("gives any role", statement("GiveRoles", Resource=["*"]), server.server_is_confined),
    _of_server(
        "gives roles to any service",
        in_statement("GiveRoles", lambda found: found.pop("Condition")),
        server.server_is_confined,
    ),
    _of_server("ends no run", without_statement("EndRuns"), server.server_ends_runs_and_spoils_none),
    _of_server(
        "writes all of a run",
        in_statement("EndRuns", lambda found: found.update(Resource=["arn:aws:s3:::*/runs/*"])),
        server.server_ends_runs_and_spoils_none,
    ),
    _of_server(
        "reads no archive", without_statement("ReadRuns"), server.server_sets_itself_up_from_what_is_in_the_bucket
    ),
)
