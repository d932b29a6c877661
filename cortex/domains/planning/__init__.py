"""Planning: schedules, deliveries, allocations and robots that share their roads; each plan is checked and priced."""

from cortex.domains.planning.domain import Planning

DOMAIN = Planning
