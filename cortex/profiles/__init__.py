"""Profiles: what to train and on what, validated once, then frozen."""
