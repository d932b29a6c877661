"""Trackers: pictures of a training, drawn from what the ledger is told. The ledger stays the truth."""
