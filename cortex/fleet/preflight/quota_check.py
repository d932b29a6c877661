"""Check of AWS's quotas for the machines of each task: a new account may have a quota of 0 for spot GPUs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cortex.artifacts.parallel import in_parallel
from cortex.fleet.clouds import aws_api
from cortex.fleet.preflight.credentials_check import usable
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.preflight.quota_codes import quota_code
from cortex.runs.price_list import Offer

NAME = "quota"

_AT_ONCE = 32
_SHOWN = 4


@dataclass(frozen=True)
class Limit:
    """A quota that a machine counts against."""

    region: str
    code: str

    @classmethod
    def of(cls, offer: Offer) -> "Limit | None":
        code = quota_code(offer.instance_type, offer.spot)
        return cls(offer.region, code) if code else None


@dataclass(frozen=True)
class Room:
    """The account's quotas and the sizes of machines, as far as AWS tells them."""

    allowed: dict[Limit, float]
    """vCPUs that may run at once."""
    vcpus: dict[str, float]
    """vCPUs of one machine, by its type."""

    def takes(self, offer: Offer, nodes: int) -> bool:
        """True where `nodes` such machines fit into the quota at once, or the quota is not known."""
        limit = Limit.of(offer)
        return limit not in self.allowed or nodes * self.vcpus.get(offer.instance_type, 0.0) <= self.allowed[limit]


def check(ground: Ground) -> Finding:
    """Compare each quota with the vCPUs of a task's machines. The check fails for a task that fits into no quota.

    A task that may get machines of both kinds needs room on demand, too, because its run's deadline depends on them.
    """
    nodes = {str(document.get("name")): int(document.get("num_nodes", 1)) for document in ground.documents}
    by_task = [
        (name, [offer for offer in kind if offer.cloud == "aws"], kind)
        for name, found in ground.offers
        for kind in _kinds(found)
    ]
    ours = [offer for _, found, _ in by_task for offer in found]
    if not any(map(Limit.of, ours)):
        return Finding(NAME, None, "no machine of the plan counts against a quota that can be read")
    room = _ask(ours)
    if not room.allowed or not room.vcpus:
        return Finding(NAME, None, "AWS does not tell these credentials its quotas (servicequotas:GetServiceQuota)")
    stuck = {
        name: min(found, key=lambda offer: offer.dollars_per_hour)
        for name, found, everywhere in by_task
        if found and not any(room.takes(offer, nodes[name]) for offer in found) and not _elsewhere(everywhere)
    }
    if stuck:
        details = [f"{name}: {_words(offer, room, nodes[name])}" for name, offer in stuck.items()]
        fixes = dict.fromkeys(_fix(offer, room, nodes[name]) for name, offer in stuck.items())
        return Finding(NAME, False, "; ".join(details), "; ".join(fixes))
    several = any(count > 1 for count in nodes.values())
    detail = f"{'what' if several else 'one machine of'} each task {'needs ' if several else ''}fits into its quota"
    short = sorted(
        {_name(offer) for name, found, _ in by_task for offer in found if not room.takes(offer, nodes[name])}
    )
    if short:
        more = f" and {len(short) - _SHOWN} more" if len(short) > _SHOWN else ""
        fix = "SkyPilot has a wider choice once those quotas are raised, too"
        return Finding(NAME, True, f"{detail}, but no {', '.join(short[:_SHOWN])}{more}", fix)
    return Finding(NAME, True, detail)


def _kinds(offers: Sequence[Offer]) -> tuple[list[Offer], ...]:
    """Lists of offers; a task needs room for one of each list: all its offers, and those on demand if it is mixed."""
    on_demand = [offer for offer in offers if not offer.spot]
    return (list(offers), on_demand) if 0 < len(on_demand) < len(offers) else (list(offers),)


def _ask(offers: Iterable[Offer]) -> Room:
    """Ask for every quota and every machine type once, all at the same time."""
    limits = {limit for limit in map(Limit.of, offers) if limit}
    kinds = {offer.instance_type: offer.region for offer in offers}
    clients = aws_api.Clients()
    allowed = in_parallel(lambda limit: (limit, _allowed(clients, limit)), limits, _AT_ONCE)
    vcpus = in_parallel(lambda kind: (kind, _vcpus(clients, kind, kinds[kind])), kinds, _AT_ONCE)
    return Room(
        {limit: value for limit, value in allowed if value is not None},
        {kind: value for kind, value in vcpus if value is not None},
    )


def _allowed(clients: aws_api.Clients, limit: Limit) -> float | None:
    """The account's quota, or AWS's default where the account has none of its own."""
    client = clients("service-quotas", limit.region)
    for ask in (client.get_service_quota, client.get_aws_default_service_quota):
        try:
            return float(ask(ServiceCode="ec2", QuotaCode=limit.code)["Quota"]["Value"])
        except aws_api.error_types() as error:
            if aws_api.error_code(error) != "NoSuchResourceException":
                return None
    return None


def _vcpus(clients: aws_api.Clients, instance_type: str, region: str) -> float | None:
    try:
        found = clients("ec2", region).describe_instance_types(InstanceTypes=[instance_type])
        return float(found["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"])
    except aws_api.error_types():
        return None


def _elsewhere(offers: Iterable[Offer]) -> bool:
    """True where the task may go to another cloud that accepts the credentials."""
    return any(usable(cloud) for cloud in sorted({offer.cloud for offer in offers} - {"aws"}))


def _name(offer: Offer) -> str:
    return f"{'spot ' if offer.spot else ''}{offer.instance_type} in {offer.region}"


def _words(offer: Offer, room: Room, nodes: int) -> str:
    limit = Limit.of(offer)
    assert limit
    vcpus, allowed = room.vcpus[offer.instance_type], room.allowed[limit]
    machines = f"one {_name(offer)} has" if nodes == 1 else f"{nodes} {_name(offer)} have"
    return f"{machines} {nodes * vcpus:.0f} vCPUs, the quota is {allowed:.0f}"


def _fix(offer: Offer, room: Room, nodes: int) -> str:
    limit = Limit.of(offer)
    assert limit
    return (
        f"ask for more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {limit.code} "
        f"--desired-value {nodes * room.vcpus[offer.instance_type]:.0f} --region {limit.region} (or at https://{limit.region}."
        f"console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{limit.code}); it may take days"
    )
