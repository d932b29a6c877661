"""Runs: their profile, their folder in the bucket, their ledger and their pipeline."""
