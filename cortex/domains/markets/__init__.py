"""Markets: what a price will do, from what was known at the decision."""

from cortex.domains.markets.domain import Markets

DOMAIN = Markets
