"""Monthly cost of a stack while nothing runs on it."""

from cortex.fleet.home.egress import BETWEEN_REGIONS
from infra.config import StackConfig
from infra.google.config import SUPERSEDED_DAYS

HOURS = 730
"""Hours of a month in AWS's bills."""

MACHINES = {
    "t3.medium": 0.0416,
    "t3.large": 0.0832,
    "t3.xlarge": 0.1664,
    "t3a.large": 0.0752,
    "t3a.xlarge": 0.1504,
    "m5.large": 0.096,
    "m6i.large": 0.096,
    "m7i.large": 0.1008,
    "m7i.xlarge": 0.2016,
}
"""Dollars an hour, Linux on demand in us-east-1 (aws.amazon.com/ec2/pricing/on-demand, 2025); in other regions prices
differ by some tenths."""

GP3_GB, ADDRESS_HOUR, KEY = 0.08, 0.005, 1.0
"""Dollars for a GB of disk a month, for a public IPv4 address an hour, for a key a month (2025, us-east-1)."""

BY_USE = "and by use: objects in buckets from $0.023 a GB and month, images $0.10, what leaves AWS $0.09 a GB"

GOOGLE_BY_USE = (
    "at Google nothing while it is idle but what is kept (from $0.020 a GB and month in a region, what was pruned for "
    "{days} days more; images $0.10), and by use: what leaves Google $0.12 a GB; the alarm counts none of it"
)
"""Costs at Google, in words. Networks, subnets, rules, accounts and roles are free there (cloud.google.com/
storage/pricing, artifact-registry and vpc/network-pricing, 2025, us-central1)."""


def monthly_costs(config: StackConfig) -> dict[str, float | None]:
    """Dollars a month by resource; None for a machine whose price is not in `MACHINES`."""
    known: dict[str, float | None] = {"key": KEY}
    if config.server:
        price = MACHINES.get(config.server.machine)
        known[f"SkyPilot's server, {config.server.machine}"] = price * HOURS if price else None
        known[f"its disk, {config.server.disk_gb} GB"] = config.server.disk_gb * GP3_GB
        known["its public address"] = ADDRESS_HOUR * HOURS
    return known


def describe_cost(config: StackConfig) -> str:
    """The monthly cost as one line for the user."""
    costs = monthly_costs(config)
    total = sum(dollars for dollars in costs.values() if dollars is not None)
    unknown = " at least" if None in costs.values() else ""
    parts = ", ".join(
        f"{what} ${dollars:.2f}" if dollars is not None else f"{what}: see aws.amazon.com/ec2/pricing/on-demand"
        for what, dollars in costs.items()
    )
    text = f"up and idle, this stack costs{unknown} ${total:.2f} a month at the prices of us-east-1 ({parts}); {BY_USE}"
    if config.more_regions:
        text += f", what machines in {' and '.join(config.more_regions)} read from {config.region} ${BETWEEN_REGIONS}"
    if config.gcp is None:
        return text
    return f"{text}; {GOOGLE_BY_USE.format(days=SUPERSEDED_DAYS + config.gcp.soft_delete_days)}"
