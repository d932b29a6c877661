"""A run's deadline at launch: the check that it can be met, and the machines that its tasks may get."""
