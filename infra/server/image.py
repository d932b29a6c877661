"""The machine image that the server starts from."""

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
"""Public parameter of AWS that holds the id of the newest Amazon Linux image, which includes Session Manager's agent
and AWS's command line."""
