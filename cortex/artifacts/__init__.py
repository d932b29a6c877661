"""Immutable folders under a manifest: how results are kept, moved and proven."""
