"""Sweep for machines, disks and addresses that runs left behind in the cloud: found by the cloud's API, and ended."""
