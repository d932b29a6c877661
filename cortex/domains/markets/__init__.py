"""Markets: forecasts of a price's return from the data known at the decision."""

from cortex.domains.markets.domain import Markets

DOMAIN = Markets
