"""The test bed: a cloud in a folder. moto is its control plane, sandboxes are its machines, SkyPilot is the real one.

All of it runs in namespaces of its own, under one process: when that one is killed, the kernel ends whatever runs
there, and its mounts, networks and addresses vanish with it. See `docs/testbed.md`.
"""
