"""Policies for users: one to create a stack, one to launch runs on an existing one. `make infra-policy` writes both."""
