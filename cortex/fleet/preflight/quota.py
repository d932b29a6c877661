"""Whether AWS would let the account run one machine of each task: new accounts may run no spot GPU at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from cortex.artifacts.parallel import in_parallel
from cortex.fleet import aws
from cortex.fleet.preflight.credentials import usable
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.preflight.quota_codes import quota_code
from cortex.runs.prices import Offer

NAME = "quota"


@dataclass(frozen=True)
class Limit:
    """What a machine counts against."""

    region: str
    code: str


def check(ground: Ground) -> Finding:
    """Compare each limit with the vCPUs of one machine. A task is stuck where no place that may take it has room."""
    by_task = [(name, [offer for offer in found if offer.cloud == "aws"], found) for name, found in ground.offers]
    limits = {limit for _, ours, _ in by_task for limit in map(_limit, ours) if limit}
    if not limits:
        return Finding(NAME, None, "no machine of the plan is limited by a quota that can be read")
    allowed = dict(in_parallel(lambda limit: (limit, _vcpus_allowed(limit)), sorted(limits, key=repr), 32))
    if all(value is None for value in allowed.values()):
        return Finding(NAME, None, "AWS does not tell these credentials its quotas (servicequotas:GetServiceQuota)")
    short = {_words(offer) for _, ours, _ in by_task for offer in ours if not _fits(offer, allowed)}
    stuck, fixes = list[str](), list[str]()
    for name, ours, found in by_task:
        if ours and not any(_fits(offer, allowed) for offer in ours) and not _elsewhere(found):
            best = min(ours, key=lambda offer: offer.dollars_per_hour)
            limit, vcpus = _limit(best), _vcpus(best.instance_type)
            assert limit
            stuck.append(f"{name}: one {_words(best)} has {vcpus:.0f} vCPUs, the quota is {allowed[limit]:.0f}")
            fixes.append(_fix(limit, vcpus))
    if stuck:
        return Finding(NAME, False, "; ".join(stuck), "; ".join(dict.fromkeys(fixes)))
    detail = "one machine of each task fits into its quota"
    if short:
        more = f" and {len(short) - 4} more" if len(short) > 4 else ""
        detail += f", but no {', '.join(sorted(short)[:4])}{more}"
        return Finding(NAME, True, detail, "raise those quotas, too, for a wider choice")
    return Finding(NAME, True, detail)


def _limit(offer: Offer) -> Limit | None:
    code = quota_code(offer.instance_type, offer.spot)
    return Limit(offer.region, code) if code else None


def _fits(offer: Offer, allowed: dict[Limit, float | None]) -> bool:
    """Whether one machine fits, or nobody says that it does not."""
    limit = _limit(offer)
    room = allowed[limit] if limit else None
    return room is None or _vcpus(offer.instance_type) <= room


def _vcpus_allowed(limit: Limit) -> float | None:
    """The account's quota, AWS's default where it has none of its own; None where AWS does not say."""
    client = aws.client("service-quotas", limit.region)
    for ask in (client.get_service_quota, client.get_aws_default_service_quota):
        try:
            return float(ask(ServiceCode="ec2", QuotaCode=limit.code)["Quota"]["Value"])
        except aws.errors() as error:
            if aws.code(error) != "NoSuchResourceException":
                return None
    return None


@cache
def _vcpus(instance_type: str) -> float:
    from sky import catalog

    count, _ = catalog.get_vcpus_mem_from_instance_type(instance_type, clouds="aws")
    return count or 0.0


def _elsewhere(offers: Iterable[Offer]) -> bool:
    """Whether another cloud, one that knows us, may take the task."""
    return any(usable(cloud) for cloud in sorted({offer.cloud for offer in offers} - {"aws"}))


def _words(offer: Offer) -> str:
    return f"{'spot ' if offer.spot else ''}{offer.instance_type} in {offer.region}"


def _fix(limit: Limit, vcpus: float) -> str:
    return (
        f"ask for more: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {limit.code} "
        f"--desired-value {vcpus:.0f} --region {limit.region} (or at https://{limit.region}.console.aws.amazon.com/"
        f"servicequotas/home/services/ec2/quotas/{limit.code}); it may take days"
    )
