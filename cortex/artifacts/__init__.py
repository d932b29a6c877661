"""Artifacts: immutable folders with a manifest, their stores, transfers and verification."""
