"""The tasks that are submitted for a run: its pipeline file, filled in."""
