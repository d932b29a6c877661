"""The clouds' metadata services: their protocols for preemption notices and machines' identities, on one client."""
