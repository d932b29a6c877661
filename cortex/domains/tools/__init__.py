"""Questions that need tools: arithmetic, a search, a price table, a calendar, and a database."""

from cortex.domains.tools.domain import Tools

DOMAIN = Tools
