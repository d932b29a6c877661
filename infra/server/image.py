"""The machine image that the server starts from."""

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
"""A public parameter that holds Amazon Linux's newest, as AWS itself publishes it: Session Manager's agent and AWS's
command line are in it."""
