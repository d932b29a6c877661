"""Launching a run: its plan, its role, its managed job."""
