"""A run's deadline as it is launched: which machines its tasks may be given, and whether it can be met."""
