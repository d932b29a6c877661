"""Publication of a verified release on a model hub, and the whitepaper that is written from a run's own record."""
