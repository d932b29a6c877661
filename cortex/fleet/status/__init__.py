"""A run's status, logs and costs, for a laptop that has the bucket."""
